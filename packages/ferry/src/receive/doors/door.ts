/**
 * A door: one protocol by which uploads come in. It turns requests into calls of an upload core, and
 * what these tell into responses. Which door a request goes to, who may ask, CORS, and paths that no
 * door knows are the server's business.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { UploadError } from '../../errors.ts'
import type { UploadCore } from '../upload-core.ts'
import type { UploadStatus } from '../upload-options.ts'
import type { LocationStyle } from './upload-location.ts'

/** What a door works with, beside the request. */
export interface DoorContext {
  readonly core: UploadCore
  /** Who asks; sees no uploads but its own. */
  readonly owner: string | undefined
  /** Below the mount of the server; begins with `/`. */
  readonly path: string
  readonly query: URLSearchParams
}

/** One protocol. */
export interface Door {
  readonly name: string
  /**
   * Fields that tell a client what the door can do, for the answer to an OPTIONS request that may be
   * meant for more than one door.
   */
  discovery?(core: UploadCore): Readonly<Record<string, string>>
  /**
   * Answers a request, whatever happens, and reads or drops its content. Rejects, when it has
   * answered, with a failure that is the server's own and not the client's.
   */
  handle(request: IncomingMessage, response: ServerResponse, context: DoorContext): Promise<void>
}

/** What a client would like to call its file. */
export interface WantedName {
  /** As it came: it may hold a path, or lead upwards. */
  readonly name: string | undefined
  readonly metadata: Readonly<Record<string, string>>
  readonly owner: string | undefined
  readonly door: string
}

/** What doors to upload URLs are made with. */
export interface DoorOptions {
  /** How an upload URL is told. @defaultValue relative */
  readonly location?: LocationStyle
  /**
   * Chooses the name of the finished file, folders included; made safe afterwards. Undefined for
   * the upload's id. @defaultValue the last segment of the name that is wanted
   */
  readonly chooseName?: (wanted: WantedName) => string | undefined | Promise<string | undefined>
  /** Epoch ms. @defaultValue Date.now */
  readonly now?: () => number
}

/** The default of `chooseName`: folders are left out. */
export function lastSegment({ name }: WantedName): string | undefined {
  const segment = name?.split(/[/\\]/).at(-1)
  return segment === '' ? undefined : segment
}

/**
 * Finds an upload of the one who asks; those of others are as good as absent.
 * @throws {UploadError} upload-not-found, upload-expired
 */
export function findUpload({ core, owner }: DoorContext, id: string): UploadStatus {
  const upload = core.status(id)
  if (upload.owner === owner) return upload
  throw new UploadError('upload-not-found', `Cannot find upload ${JSON.stringify(id)}`)
}

/** Which door a request goes to, and what its URL means below the mount of the server. Pure. */
import type { IncomingHttpHeaders } from 'node:http'
import { PARTIAL_UPLOAD } from '../protocol/upload/ietf-grammar.ts'
import { TUS_CONTENT_TYPE } from '../protocol/upload/tus-messages.ts'
import { mediaTypeOf } from './doors/door-answer.ts'
import { parseUploadPath } from './doors/upload-location.ts'

export const DOOR_NAMES = ['indexedcp', 'tus', 'ietf'] as const

export type DoorName = (typeof DOOR_NAMES)[number]

const INDEXEDCP_METHODS: ReadonlyMap<string, string> = new Map([
  ['/upload', 'POST'],
  ['/upload/complete', 'POST'],
  ['/upload/status', 'GET'],
  ['/public-key', 'GET'],
  ['/upload-encrypted', 'POST'],
  ['/upload-encrypted-batch', 'POST'],
  ['/rotate-keys', 'POST'],
])

/** Every path that a door may know, as routers write them. */
export const UPLOAD_ROUTES: readonly string[] = [...INDEXEDCP_METHODS.keys(), '/files', '/files/*']

/** Fields that no other protocol knows. */
const TUS_FIELDS = [
  'upload-checksum',
  'upload-concat',
  'upload-defer-length',
  'upload-metadata',
  'x-http-method-override',
] as const

/** What a request asks for. */
export interface UploadTarget {
  /** Begins with `/`. */
  readonly path: string
  readonly query: URLSearchParams
}

/** What is looked at to choose a door. */
export interface RoutedRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
}

/**
 * Reads the target of a request.
 * @param mount what stands before the paths of the doors; empty, or `/prefix`
 * @returns undefined for what is not below the mount
 */
export function parseTarget(target: string, mount: string): UploadTarget | undefined {
  // RFC 9112 §3.2.2: a client may send the absolute form to any server.
  const relative = target.replace(/^https?:\/\/[^/?#]*/i, '')
  const [path = '', ...rest] = relative.split('?')
  if (!path.startsWith(`${mount}/`)) return undefined
  return { path: path.slice(mount.length), query: new URLSearchParams(rest.join('?')) }
}

/** Undefined for what no door knows. */
export function chooseDoor({ method, path, headers }: RoutedRequest): DoorName | undefined {
  const indexedCpMethod = INDEXEDCP_METHODS.get(path)
  if (indexedCpMethod !== undefined) return indexedCpMethod === method ? 'indexedcp' : undefined
  const uploadPath = parseUploadPath(path)
  if (uploadPath === undefined) return undefined
  if (headers['tus-resumable'] !== undefined) return 'tus'
  if (isDraft(headers)) return 'ietf'
  // Without the version of tus; its door tells which one it wants.
  if (isTus(method, headers)) return 'tus'
  // The draft asks for the offset, and cancels, with no field of its own.
  const methods =
    uploadPath.type === 'upload' ? ['HEAD', 'PATCH', 'DELETE', 'GET', 'PUT'] : ['POST', 'PUT']
  return methods.includes(method) ? 'ietf' : undefined
}

function isDraft(headers: IncomingHttpHeaders): boolean {
  return (
    headers['upload-complete'] !== undefined ||
    headers['upload-incomplete'] !== undefined ||
    headers['upload-draft-interop-version'] !== undefined ||
    mediaTypeOf({ headers }) === PARTIAL_UPLOAD
  )
}

function isTus(method: string, headers: IncomingHttpHeaders): boolean {
  return (
    mediaTypeOf({ headers }) === TUS_CONTENT_TYPE ||
    TUS_FIELDS.some((name) => headers[name] !== undefined) ||
    // The draft has it too, but never without Upload-Complete.
    (method === 'POST' && headers['upload-length'] !== undefined)
  )
}

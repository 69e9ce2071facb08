/**
 * Receives uploads over HTTP: an upload core behind its doors. Puts together who may ask, pages of
 * other origins, limits, and paths that no door knows; what uploads are is the core's business.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type Clock, systemClock } from '../clock.ts'
import { ConfigError } from '../errors.ts'
import { Access, type RequestLimits } from './access.ts'
import {
  type CrossOriginOptions,
  crossOriginFields,
  isForeignPage,
  preflightFields,
} from './cross-origin.ts'
import { sendAnswer } from './doors/door-answer.ts'
import { type Door, type DoorOptions, lastSegment } from './doors/door.ts'
import type { AnyRequest, AnyResponse } from './doors/http2-exchange.ts'
import { createIetfDoor, type IetfDoorOptions } from './doors/ietf-door.ts'
import { IndexedCpDoor, type IndexedCpDoorOptions } from './doors/indexedcp-door.ts'
import { createTusDoor } from './doors/tus-door.ts'
import { EncryptionKeys, type EncryptionKeysOptions } from './encryption-keys.ts'
import { toFinalName } from './final-name.ts'
import { createHttpServer, type HttpServerOptions } from './http-server.ts'
import type { KeyRing } from './keys.ts'
import { OpenRequests } from './open-requests.ts'
import { RequestPaces } from './paced-request.ts'
import type { UploadCore } from './upload-core.ts'
import { UploadFolder } from './upload-folder.ts'
import type { UploadCoreOptions } from './upload-options.ts'
import { chooseDoor, DOOR_NAMES, type DoorName, parseTarget } from './upload-route.ts'

/** What an upload server is made with. */
export interface UploadServerOptions extends HttpServerOptions {
  /** Who may upload. @defaultValue everybody; then it listens on the loopback only */
  readonly keys?: KeyRing | undefined
  /** Protocols that it speaks. @defaultValue all */
  readonly doors?: readonly DoorName[]
  readonly indexedcp?: IndexedCpDoorOptions
  readonly tus?: DoorOptions
  readonly ietf?: IetfDoorOptions
  /** What stands before the paths of the protocols: empty, or like `/api`. @defaultValue '' */
  readonly mount?: string
  /** @defaultValue none; without keys, requests of pages of other origins are refused */
  readonly cors?: CrossOriginOptions
  /** How much may be asked. @defaultValue no limits but that on wrong keys */
  readonly limits?: RequestLimits
  /** Told of failures that are the server's own. */
  readonly onFailure?: (failure: unknown) => void
  readonly clock?: Clock
}

/** What an upload server on a folder is made with. */
export interface UploadFolderServerOptions extends UploadServerOptions {
  readonly uploads?: Omit<UploadCoreOptions, 'blobs' | 'journals'>
  /**
   * The encrypted mode of IndexedCP. With `true` its private keys are in the folder's own `.ferry`.
   * @defaultValue false
   */
  readonly encryption?: boolean | EncryptionKeysOptions
}

/** Where a server listens. */
export interface ListenOptions {
  /** @defaultValue one that is free */
  readonly port?: number
  /** @defaultValue 127.0.0.1 */
  readonly host?: string
}

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost'])

/** A server for uploads. Whoever opens it closes it. */
export class UploadServer implements AsyncDisposable {
  readonly core: UploadCore
  /** Its door for IndexedCP, to be asked what it has. */
  readonly indexedcp: IndexedCpDoor
  readonly #options: UploadServerOptions
  readonly #folder: UploadFolder | undefined
  readonly #doors: ReadonlyMap<DoorName, Door>
  readonly #access: Access
  readonly #paces: RequestPaces
  readonly #open: OpenRequests = new OpenRequests()
  #server: Server | undefined
  #url: string | undefined
  #closing: Promise<void> | undefined

  /** Puts doors before a core, which stays the caller's to close. */
  constructor(core: UploadCore, options: UploadServerOptions = {}, folder?: UploadFolder) {
    const { mount = '', doors = DOOR_NAMES, keys, limits = {}, clock = systemClock } = options
    if (mount !== '' && !/^\/.*[^/]$/.test(mount)) {
      throw new ConfigError(
        'mount',
        `Cannot use ${JSON.stringify(mount)}: expected a path like "/api"`,
      )
    }
    this.core = core
    this.#options = options
    this.#folder = folder
    this.#access = new Access({ keys, limits, clock })
    this.#paces = new RequestPaces({ clock, ...limits, maxHoldMs: core.idleTimeoutMs / 3 })
    const folderOf: FolderOf = (owner) => keys?.folderOf(owner)
    this.indexedcp = new IndexedCpDoor({ folderOf, ...options.indexedcp })
    const all: Readonly<Record<DoorName, Door>> = {
      indexedcp: this.indexedcp,
      tus: createTusDoor({ ...options.tus, chooseName: nameIn(folderOf, options.tus) }),
      ietf: createIetfDoor({ ...options.ietf, chooseName: nameIn(folderOf, options.ietf) }),
    }
    this.#doors = new Map(doors.map((name) => [name, all[name]]))
  }

  /**
   * Receives into a folder, which is made where it is missing.
   * @throws {TransferError} locked, when another process receives into it; not-writable
   * @throws {ConfigError} encryption, when a private key cannot be read
   */
  static async open(
    folder: string,
    options: UploadFolderServerOptions = {},
  ): Promise<UploadServer> {
    const { uploads, encryption = false, indexedcp } = options
    const opened = await UploadFolder.open(folder, uploads)
    try {
      if (encryption === false) return new UploadServer(opened.core, options, opened)
      const own = { folder: join(folder, '.ferry', 'keys') }
      const encryptionKeys = await EncryptionKeys.open(encryption === true ? own : encryption)
      const settings = { ...options, indexedcp: { ...indexedcp, encryptionKeys } }
      return new UploadServer(opened.core, settings, opened)
    } catch (error) {
      await opened.close()
      throw error
    }
  }

  /** Below which the protocols have their paths; undefined before it listens. */
  get url(): string | undefined {
    return this.#url
  }

  /**
   * Begins to listen.
   * @returns the URL below which the protocols have their paths
   * @throws {ConfigError} host, without keys for others than this machine; port, when it is taken
   */
  async listen(options: ListenOptions = {}): Promise<string> {
    const { port = 0, host = '127.0.0.1' } = options
    if (this.#server !== undefined) throw new TypeError('Cannot listen twice')
    if (this.#options.keys === undefined && !LOOPBACK.has(host)) {
      throw new ConfigError('host', `Cannot listen on ${host} without keys: anybody could upload`)
    }
    const server = createHttpServer(this.#options, this.handler, (request, response) =>
      this.#receive(request, response, () => response.writeContinue()),
    )
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause: NodeJS.ErrnoException) => {
        this.#server = undefined
        reject(new ConfigError('port', `Cannot listen on ${host}:${port}: ${cause.message}`))
      })
      server.listen(port, host, resolve)
    })
    this.#url = this.#urlOf(host, (server.address() as AddressInfo).port)
    return this.#url
  }

  /**
   * Answers a request of node:http or node:http2, for servers of one's own; for fastify, see
   * `fastifyUploads`. The content must not have been read. Never rejects.
   */
  readonly handler = (request: AnyRequest, response: AnyResponse): Promise<void> =>
    // Over HTTP/2 they look alike, where the doors do not ask for the stream.
    this.#receive(request as IncomingMessage, response as ServerResponse, () => {})

  /**
   * Ends what is on its way, which keeps what has come, and stops listening. Whoever still sends is
   * told so; answers reach the network before their connection closes. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #urlOf(host: string, port: number): string {
    const { tls, mount = '' } = this.#options
    const authority = host.includes(':') ? `[${host}]` : host
    return `${tls === undefined ? 'http' : 'https'}://${authority}:${port}${mount}`
  }

  /** @param onAdmitted called before content is read */
  async #receive(
    request: IncomingMessage,
    response: ServerResponse,
    onAdmitted: () => void,
  ): Promise<void> {
    // A connection that breaks is no failure of the process.
    response.on('error', () => {})
    await this.#open.add(request, response, async () => {
      try {
        await this.#handle(request, response, onAdmitted)
      } catch (failure) {
        this.#options.onFailure?.(failure)
      }
    })
  }

  async #handle(
    request: IncomingMessage,
    response: ServerResponse,
    onAdmitted: () => void,
  ): Promise<void> {
    const { cors, mount = '', indexedcp = {} } = this.#options
    const { method = '', url = '', headers } = request
    const fields = crossOriginFields(cors, headers)
    for (const [name, value] of Object.entries(fields)) response.setHeader(name, value)
    if (this.#closing !== undefined) {
      await sendAnswer(request, response, ENDING)
      return
    }
    if (method === 'OPTIONS') {
      await sendAnswer(request, response, this.#discover(request, fields))
      return
    }
    // A key shows that a page may: it does not know those of others.
    if (this.#options.keys === undefined && isForeignPage(cors, headers)) {
      await sendAnswer(request, response, FOREIGN_PAGE)
      return
    }
    const target = parseTarget(url, mount)
    const name = target && chooseDoor({ method, path: target.path, headers })
    const door = name && this.#doors.get(name)
    const isPublic =
      door === this.indexedcp &&
      indexedcp.encryptionKeys !== undefined &&
      target?.path === '/public-key'
    const admission = this.#access.admit({
      method,
      headers,
      address: request.socket.remoteAddress ?? '',
      path: target?.path,
      door: door && name,
      isPublic,
    })
    if (admission.type === 'refused') {
      await sendAnswer(request, response, admission.answer)
    } else if (target === undefined || door === undefined) {
      await sendAnswer(request, response, NOT_FOUND)
    } else {
      this.#paces.hold(request, admission.who)
      onAdmitted()
      await door.handle(request, response, { core: this.core, owner: admission.owner, ...target })
    }
  }

  /** What the doors can do; to a page that asks before it sends, what it may send. */
  #discover(
    { headers }: IncomingMessage,
    fields: Readonly<Record<string, string>>,
  ): { readonly status: number; readonly fields: Readonly<Record<string, string>> } {
    const isPreflight = headers['access-control-request-method'] !== undefined
    const found = [...this.#doors.values()].map((door) => door.discovery?.(this.core) ?? {})
    const told = isPreflight ? preflightFields(fields) : {}
    return { status: 200, fields: Object.assign({}, ...found, told) as Record<string, string> }
  }

  async #close(): Promise<void> {
    const server = this.#server
    const closed = new Promise<void>((resolve) => {
      if (server?.listening === true) server.close(() => resolve())
      else resolve()
    })
    this.indexedcp.close()
    await this.#folder?.close()
    // Of a core of somebody else's, nobody has ended the writers.
    await this.#open.close({ cut: this.#folder === undefined })
    server?.closeAllConnections()
    await closed
  }
}

type FolderOf = (owner: string | undefined) => string | undefined

const NOT_FOUND = {
  status: 404,
  fields: { 'Content-Type': 'text/plain' },
  body: 'Not Found',
} as const

const FOREIGN_PAGE = {
  status: 403,
  fields: { 'Content-Type': 'text/plain' },
  body: 'Cannot take requests of pages of this origin: it is not among those that are allowed',
} as const

const ENDING = {
  status: 503,
  fields: { 'Content-Type': 'text/plain', 'Retry-After': '5' },
  body: 'The server ends',
} as const

/** Puts the files of an owner into its folder, where it has one. */
function nameIn(
  folderOf: FolderOf,
  { chooseName = lastSegment }: DoorOptions = {},
): NonNullable<DoorOptions['chooseName']> {
  return async (wanted) => {
    const name = await chooseName(wanted)
    const folder = folderOf(wanted.owner)
    return folder === undefined ? name : `${folder}/${toFinalName(name ?? '') ?? 'upload'}`
  }
}

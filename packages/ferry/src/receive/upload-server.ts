/**
 * Receives uploads over HTTP: an upload core behind its doors. Owns who may ask, pages of other
 * origins, limits of heads, and paths that no door knows; what uploads are is the core's business.
 */
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import { systemClock } from '../clock.ts'
import { ConfigError } from '../errors.ts'
import { type CrossOriginOptions, crossOriginFields, preflightFields } from './cross-origin.ts'
import { sendAnswer } from './doors/door-answer.ts'
import type { Door, DoorOptions } from './doors/door.ts'
import { createIetfDoor, type IetfDoorOptions } from './doors/ietf-door.ts'
import { IndexedCpDoor, type IndexedCpDoorOptions } from './doors/indexedcp-door.ts'
import { createTusDoor } from './doors/tus-door.ts'
import type { KeyRing } from './keys.ts'
import type { UploadCore } from './upload-core.ts'
import { UploadFolder } from './upload-folder.ts'
import type { UploadCoreOptions } from './upload-options.ts'
import { chooseDoor, type DoorName, parseTarget } from './upload-route.ts'

/** What an upload server is made with. */
export interface UploadServerOptions {
  /** Who may upload. @defaultValue everybody; then it listens on the loopback only */
  readonly keys?: KeyRing | undefined
  /** Protocols that it speaks. @defaultValue all */
  readonly doors?: readonly DoorName[]
  readonly indexedcp?: IndexedCpDoorOptions
  readonly tus?: DoorOptions
  readonly ietf?: IetfDoorOptions
  /** What stands before the paths of the protocols: empty, or like `/api`. @defaultValue '' */
  readonly mount?: string
  /** @defaultValue none */
  readonly cors?: CrossOriginOptions
  /** Certificate and key, for https. @defaultValue http */
  readonly tls?: SecureContextOptions
  /** @defaultValue 16,384 */
  readonly maxHeaderBytes?: number
  /** How long a client may take for the head of a request. @defaultValue 10,000 ms */
  readonly headersTimeoutMs?: number
  /** How long a connection without a request is kept. @defaultValue 5,000 ms */
  readonly keepAliveTimeoutMs?: number
  /** Told of failures that are the server's own. */
  readonly onFailure?: (failure: unknown) => void
}

/** Where a server listens. */
export interface ListenOptions {
  /** @defaultValue one that is free */
  readonly port?: number
  /** @defaultValue 127.0.0.1 */
  readonly host?: string
}

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost'])
// For answers that are on their way when the server is closed.
const CLOSE_GRACE_MS = 2000

/** A server for uploads. Whoever opens it closes it. */
export class UploadServer implements AsyncDisposable {
  readonly core: UploadCore
  readonly #options: UploadServerOptions
  readonly #folder: UploadFolder | undefined
  readonly #doors: ReadonlyMap<DoorName, Door>
  readonly #indexedcp: IndexedCpDoor
  #server: Server | undefined
  #url: string | undefined
  #closing: Promise<void> | undefined

  /** Puts doors before a core, which stays the caller's to close. */
  constructor(core: UploadCore, options: UploadServerOptions = {}, folder?: UploadFolder) {
    const { mount = '', doors = ['indexedcp', 'tus', 'ietf'] } = options
    if (mount !== '' && !/^\/.*[^/]$/.test(mount)) {
      throw new ConfigError(
        'mount',
        `Cannot use ${JSON.stringify(mount)}: expected a path like "/api"`,
      )
    }
    this.core = core
    this.#options = options
    this.#folder = folder
    this.#indexedcp = new IndexedCpDoor(options.indexedcp)
    const all: Readonly<Record<DoorName, Door>> = {
      indexedcp: this.#indexedcp,
      tus: createTusDoor(options.tus),
      ietf: createIetfDoor(options.ietf),
    }
    this.#doors = new Map(doors.map((name) => [name, all[name]]))
  }

  /**
   * Receives into a folder, which is made where it is missing.
   * @throws {TransferError} locked, when another process receives into it; not-writable
   */
  static async open(
    folder: string,
    options: UploadServerOptions & {
      readonly uploads?: Omit<UploadCoreOptions, 'blobs' | 'journals'>
    } = {},
  ): Promise<UploadServer> {
    const opened = await UploadFolder.open(folder, options.uploads)
    return new UploadServer(opened.core, options, opened)
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
    const server = this.#createServer()
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
   * Answers a request of node:http, for servers of one's own; of fastify, with `request.raw` and
   * `reply.raw` after `reply.hijack()`. The content must not have been read. Never rejects.
   */
  readonly handler = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      await this.#handle(request, response)
    } catch (failure) {
      this.#options.onFailure?.(failure)
    }
  }

  /** Ends what is on its way, which keeps what has come, and stops listening. Idempotent. */
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

  #createServer(): Server {
    const { maxHeaderBytes = 16_384, headersTimeoutMs = 10_000 } = this.#options
    const { keepAliveTimeoutMs = 5000, tls } = this.#options
    const options: ServerOptions = {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: headersTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
      connectionsCheckingInterval: Math.min(1000, headersTimeoutMs),
      // An upload may take hours; whether enough comes is watched by the core.
      requestTimeout: 0,
      noDelay: true,
    }
    const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
      void this.handler(request, response)
    }
    return tls === undefined
      ? createServer(options, onRequest)
      : createTlsServer({ ...options, ...tls }, onRequest)
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { keys, cors, mount = '' } = this.#options
    const { method = '', url = '', headers } = request
    // A connection that breaks is no failure of the process.
    response.on('error', () => {})
    const fields = crossOriginFields(cors, headers)
    for (const [name, value] of Object.entries(fields)) response.setHeader(name, value)
    if (method === 'OPTIONS') {
      await sendAnswer(request, response, this.#discover(request, fields))
      return
    }
    const owner = keys?.findOwner(bearerOf(request) ?? '')
    if (keys !== undefined && owner === undefined) {
      await sendAnswer(request, response, UNAUTHORIZED)
      return
    }
    const target = parseTarget(url, mount)
    const name = target && chooseDoor({ method, path: target.path, headers })
    const door = name && this.#doors.get(name)
    if (target === undefined || door === undefined) {
      await sendAnswer(request, response, NOT_FOUND)
      return
    }
    await door.handle(request, response, { core: this.core, owner, ...target })
  }

  /** What the doors can do; to a page that asks before it sends, what it may send. */
  #discover(
    { headers }: IncomingMessage,
    fields: Readonly<Record<string, string>>,
  ): { readonly status: number; readonly fields: Readonly<Record<string, string>> } {
    const isPreflight = headers['access-control-request-method'] !== undefined
    const found = [...this.#doors.values()].map((door) => door.discovery?.() ?? {})
    const told = isPreflight ? preflightFields(fields) : {}
    return { status: 200, fields: Object.assign({}, ...found, told) as Record<string, string> }
  }

  async #close(): Promise<void> {
    const server = this.#server
    const closed = new Promise<void>((resolve) => {
      if (server?.listening === true) server.close(() => resolve())
      else resolve()
    })
    this.#indexedcp.close()
    await this.#folder?.close()
    server?.closeIdleConnections()
    const cancel = systemClock.after(CLOSE_GRACE_MS, () => server?.closeAllConnections())
    await closed
    cancel()
  }
}

const UNAUTHORIZED = {
  status: 401,
  fields: { 'Content-Type': 'application/json', 'WWW-Authenticate': 'Bearer' },
  body: JSON.stringify({ error: 'Invalid or missing API key' }),
} as const

const NOT_FOUND = {
  status: 404,
  fields: { 'Content-Type': 'text/plain' },
  body: 'Not Found',
} as const

/** RFC 6750 §2.1; the name of the scheme is in any case (RFC 9110 §11.1). */
function bearerOf({ headers }: IncomingMessage): string | undefined {
  return /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
}

/**
 * A hostile HTTP server for tests: serves one buffer on 127.0.0.1, honestly unless told otherwise.
 *
 * Standing behaviour is set by options, which may be changed while it runs; a single answer is
 * spoilt by the fault that `options.fault` gives for its request. It owns sockets and time; what an
 * answer says is decided in fault-server-answer.ts.
 */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import {
  type Answer,
  decideAnswer,
  type Fault,
  type FaultServerOptions,
  type LoggedRequest,
  plainAnswer,
} from './fault-server-answer.ts'

/** What cannot change once the server runs. */
export interface FaultServerStart {
  /** PEM; makes it a server of HTTPS. */
  readonly tls?: { readonly key: string; readonly cert: string }
  /** Path of the file. @defaultValue '/file.bin' */
  readonly path?: string
}

const DEFAULT_ETAG = '"v1"'
const DEFAULT_PATH = '/file.bin'
// Fine enough that a rate holds from moment to moment, coarse enough for a timer.
const PACE_MS = 10
const PIECE_BYTES = 65_536
const MAX_LATE_MS = 5 * PACE_MS
const UNLIMITED = Number.POSITIVE_INFINITY
const SIGNATURE = 'signed-at'

/**
 * A server of one file that fails in the ways that servers do, for tests of whatever downloads.
 *
 * Listens on 127.0.0.1 only, at a free port. Whoever starts it disposes of it, which closes every
 * connection at once.
 *
 * @example Break the first answer, and change the file behind the client's back
 * ```ts
 * import { FaultServer } from 'ferry/testing'
 *
 * await using server = await FaultServer.start({
 *   content: Buffer.alloc(4_000_000, 'a'),
 *   bytesPerSecond: 2_000_000,
 *   fault: ({ index }) => (index === 0 ? { type: 'reset', afterBytes: 1_000_000 } : undefined),
 * })
 * const started = fetch(server.url)
 * await server.whenSent(500_000)
 * Object.assign(server.options, { content: Buffer.alloc(4_000_000, 'b'), etag: '"v2"' })
 * const response = await started
 * await response.arrayBuffer().catch(() => console.log(server.requests.length, 'request'))
 * ```
 */
export class FaultServer implements AsyncDisposable {
  readonly options: FaultServerOptions
  /** Every request, in the order of arrival. */
  readonly requests: LoggedRequest[] = []
  readonly #server: Server
  readonly #origin: string
  readonly #path: string
  /** By their order; those that have brought a request yet. */
  readonly #connections = new WeakMap<Socket, number>()
  readonly #waiters = new Set<() => void>()
  #active = 0
  #maxActive = 0
  #connectionCount = 0
  #openConnections = 0
  /** When the share of all answers is free again, on the clock of `performance`. */
  #freeAt = 0

  private constructor(options: FaultServerOptions, { tls, path }: FaultServerStart) {
    this.options = { etag: DEFAULT_ETAG, ...options }
    const answer: RequestListener = (request, response) => {
      this.#answer(request, response).catch(() => response.destroy())
    }
    this.#server = tls === undefined ? createServer(answer) : createSecureServer(tls, answer)
    this.#server.on('connection', (socket: Socket) => this.#admit(socket))
    this.#origin = tls === undefined ? 'http://127.0.0.1' : 'https://127.0.0.1'
    this.#path = path ?? DEFAULT_PATH
  }

  /** Listens; the options may be changed later through `server.options`. */
  static async start(
    options: FaultServerOptions,
    start: FaultServerStart = {},
  ): Promise<FaultServer> {
    const server = new FaultServer(options, start)
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve))
    return server
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Of the file; any other path of the server leads to the same one. */
  get url(): string {
    return `${this.#origin}:${this.port}${this.#path}`
  }

  /** Answers that are under way. */
  get active(): number {
    return this.#active
  }

  /** The most answers that were under way at once. */
  get maxActive(): number {
    return this.#maxActive
  }

  /** Connections that brought a request, in all. */
  get connectionCount(): number {
    return this.#connectionCount
  }

  /** Bytes of content that were sent in all. */
  get sentBytes(): number {
    return this.requests.reduce((sum, { sentBytes }) => sum + sentBytes, 0)
  }

  /** Resolves when so many bytes of content were sent in all. */
  whenSent(bytes: number): Promise<void> {
    return this.#until(() => this.sentBytes >= bytes)
  }

  /** Resolves once no answer is under way: a client that left may be noticed late. */
  idle(): Promise<void> {
    return this.#until(() => this.#active === 0)
  }

  /** Breaks every connection that stands; the server goes on. */
  disconnect(): void {
    this.#server.closeAllConnections()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disconnect()
    await new Promise<unknown>((resolve) => this.#server.close(resolve))
  }

  #until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!condition()) return
        this.#waiters.delete(look)
        resolve()
      }
      this.#waiters.add(look)
      look()
    })
  }

  #admit(socket: Socket): void {
    this.#openConnections++
    socket.once('close', () => this.#openConnections--)
    const { maxConnections = UNLIMITED } = this.options
    if (this.#openConnections > maxConnections) socket.resetAndDestroy()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const logged = this.#log(request)
    const fault = this.options.fault?.(logged)
    if (fault?.type === 'drop') {
      request.socket.resetAndDestroy()
      return
    }
    this.#active++
    this.#maxActive = Math.max(this.#maxActive, this.#active)
    try {
      const answer = this.#decide(logged, fault)
      logged.status = answer.status
      if (fault?.type === 'late') await Promise.race([pause(fault.delayMs), closed(response)])
      if (response.destroyed) return
      response.writeHead(answer.status, answer.headers)
      if (logged.method === 'HEAD') response.end()
      else await this.#send(response, answer.content, logged, fault)
    } finally {
      this.#active--
      for (const look of [...this.#waiters]) look()
    }
  }

  #log({ method = '', url = '', headers, socket }: IncomingMessage): LoggedRequest {
    const match = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '')
    const last = match?.[2] === '' ? this.options.content.length - 1 : Number(match?.[2])
    const logged: LoggedRequest = {
      index: this.requests.length,
      connection: this.#indexOf(socket),
      method,
      url,
      headers,
      range: match === null ? undefined : [Number(match[1]), last],
      status: 0,
      sentBytes: 0,
    }
    this.requests.push(logged)
    return logged
  }

  #indexOf(socket: Socket): number {
    const known = this.#connections.get(socket)
    if (known !== undefined) return known
    const index = this.#connectionCount++
    this.#connections.set(socket, index)
    return index
  }

  #decide(logged: LoggedRequest, fault: Fault | undefined): Answer {
    const { maxConcurrent = UNLIMITED, busy, signedUrls } = this.options
    if (signedUrls !== undefined) {
      const at = new URL(logged.url, this.#origin).searchParams.get(SIGNATURE)
      if (at === null) {
        return plainAnswer(302, { Location: `${this.url}?${SIGNATURE}=${Date.now()}` })
      }
      if (Date.now() - Number(at) > signedUrls.expireAfterMs) return plainAnswer(403)
    }
    // A fault that is asked for is not to hide behind a limit.
    if (fault?.type !== 'status' && this.#active > maxConcurrent) {
      return plainAnswer(busy?.status ?? 503, busy?.headers)
    }
    return decideAnswer(logged, fault, this.options)
  }

  async #send(
    response: ServerResponse,
    content: Buffer,
    logged: LoggedRequest,
    fault: Fault | undefined,
  ): Promise<void> {
    const cutAt = fault !== undefined && 'afterBytes' in fault ? fault.afterBytes : UNLIMITED
    const end = Math.min(content.length, cutAt)
    response.flushHeaders()
    await this.#sendPaced(response, content.subarray(0, end), logged, fault)
    const isBroken = fault?.type === 'length' || cutAt < content.length
    if (!isBroken || fault?.type === 'short') response.end()
    else if (fault?.type === 'stall') await closed(response)
    else await breakOff(response, fault?.type === 'reset')
  }

  async #sendPaced(
    response: ServerResponse,
    content: Buffer,
    logged: LoggedRequest,
    fault: Fault | undefined,
  ): Promise<void> {
    const { totalBytesPerSecond } = this.options
    const ownRate = fault?.type === 'slow' ? fault.bytesPerSecond : this.options.bytesPerSecond
    const rate = Math.min(ownRate ?? UNLIMITED, totalBytesPerSecond ?? UNLIMITED)
    const piece = rate === UNLIMITED ? PIECE_BYTES : Math.ceil((rate * PACE_MS) / 1000)
    let startedAt = performance.now()
    for (let at = 0; at < content.length && !response.destroyed; at += piece) {
      while (this.options.hold?.() === true && !response.destroyed) await pause(1)
      const bytes = content.subarray(at, at + piece)
      logged.sentBytes += bytes.length
      for (const look of [...this.#waiters]) look()
      if (!response.write(bytes)) await drained(response)
      // Against the clock, so that late timers do not add up; but what a busy machine has held up for
      // long is not made up for, or it would come all at once.
      const dueMs = ownRate === undefined ? 0 : ((at + bytes.length) * 1000) / ownRate
      startedAt = Math.max(startedAt, performance.now() - dueMs - MAX_LATE_MS)
      const dueAt = startedAt + dueMs
      const shareAt = totalBytesPerSecond === undefined ? 0 : this.#takeShare(bytes.length)
      await pause(Math.max(dueAt, shareAt) - performance.now())
    }
  }

  /** Books bytes of the rate that all answers share; gives when the next may follow. */
  #takeShare(bytes: number): number {
    const { totalBytesPerSecond = UNLIMITED } = this.options
    this.#freeAt = Math.max(this.#freeAt, performance.now()) + (bytes * 1000) / totalBytesPerSecond
    return this.#freeAt
  }
}

/** Lets others read in any case. */
function pause(delayMs: number): Promise<void> {
  if (delayMs <= 0) return new Promise((resolve) => setImmediate(resolve))
  return new Promise((resolve) => setTimeout(resolve, delayMs))
}

function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed) return Promise.resolve()
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.on('drain', done)
    response.on('close', done)
  })
}

function closed(response: ServerResponse): Promise<void> {
  if (response.destroyed) return Promise.resolve()
  return new Promise((resolve) => response.once('close', () => resolve()))
}

/** Cuts the connection once what was written has left. */
async function breakOff(response: ServerResponse, reset: boolean): Promise<void> {
  const { socket } = response
  if (socket === null) return
  while (socket.writableLength > 0 && !socket.destroyed) await pause(PACE_MS)
  // A reset may overtake what the kernel still holds.
  await pause(PACE_MS)
  if (reset) socket.resetAndDestroy()
  else socket.destroy()
}

/**
 * A hostile HTTP server for tests: serves one buffer on 127.0.0.1, honestly unless told otherwise.
 *
 * Standing behaviour is set by options, which may be changed while it runs; a single answer is
 * spoilt by the fault that `options.fault` gives for its request. Closes every connection when it is
 * disposed of.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** How one answer goes wrong; counts are bytes of content of that answer. */
export type Fault =
  | {
      readonly type: 'status'
      readonly status: number
      readonly headers?: Readonly<Record<string, string>>
    }
  /** The connection breaks before the head. */
  | { readonly type: 'drop' }
  /** The connection is reset, is closed in order, or falls silent. */
  | { readonly type: 'reset' | 'end' | 'stall'; readonly afterBytes: number }
  /** A whole and chunked answer ends too early, though by the rules. */
  | { readonly type: 'short'; readonly afterBytes: number }
  /** A chunked answer goes on behind the end that Content-Range names. */
  | { readonly type: 'surplus'; readonly bytes: number }
  /** A 206 with another range than the one asked for; head and content agree. */
  | { readonly type: 'shift'; readonly by: number }
  /** The Content-Range of a 206, instead of the right one; undefined leaves the field out. */
  | { readonly type: 'content-range'; readonly value: string | undefined }
  /** Range is ignored. */
  | { readonly type: 'whole' }
  /** Fields beside or instead of the right ones. */
  | { readonly type: 'headers'; readonly headers: Readonly<Record<string, string>> }

/** A request as it came. */
export interface LoggedRequest {
  /** Counted from 0. */
  readonly index: number
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  /** First and last byte asked for, both inclusive. */
  readonly range: readonly [first: number, last: number] | undefined
  /** 0 until it is answered. */
  status: number
  /** Bytes of content that were sent. */
  sentBytes: number
}

/** Settings; all may change between requests. */
export interface ScriptedServerOptions {
  content: Buffer
  etag?: string | undefined
  lastModified?: string | undefined
  /** @defaultValue 'honoured' */
  ranges?: 'honoured' | 'ignored' | undefined
  /** @defaultValue 'honoured'; 'refused' always answers with the whole */
  ifRange?: 'honoured' | 'refused' | 'unknown' | undefined
  /** Sends chunked, without a length. */
  chunked?: boolean | undefined
  /** Of each connection. */
  bytesPerSecond?: number | undefined
  /** Answers beyond this many at once are a 503. */
  maxConcurrent?: number | undefined
  /** How the answer to a request goes wrong; undefined for an honest one. */
  fault?: ((request: LoggedRequest) => Fault | undefined) | undefined
}

const DEFAULT_ETAG = '"v1"'
// Fine enough that a rate holds from moment to moment, coarse enough for a timer.
const PACE_MS = 10
const PIECE_BYTES = 65_536

/** What one answer is to be. */
interface Answer {
  status: number
  headers: Record<string, string>
  content: Buffer
}

/** A server of one buffer. */
export class ScriptedServer implements AsyncDisposable {
  readonly options: ScriptedServerOptions
  /** Every request, in the order of arrival. */
  readonly requests: LoggedRequest[] = []
  readonly #server: Server
  #active = 0
  #maxActive = 0

  private constructor(options: ScriptedServerOptions) {
    this.options = { etag: DEFAULT_ETAG, ...options }
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy())
    })
  }

  static async start(options: ScriptedServerOptions): Promise<ScriptedServer> {
    const server = new ScriptedServer(options)
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve))
    return server
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/file.bin`
  }

  /** The most answers that were under way at once. */
  get maxActive(): number {
    return this.#maxActive
  }

  /** Bytes of content that were sent in all. */
  get sentBytes(): number {
    return this.requests.reduce((sum, { sentBytes }) => sum + sentBytes, 0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<unknown>((resolve) => this.#server.close(resolve))
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
      const answer = spoil(this.#plan(logged, fault), logged, fault, this.options)
      logged.status = answer.status
      response.writeHead(answer.status, answer.headers)
      await this.#send(response, answer.content, logged, fault)
    } finally {
      this.#active--
    }
  }

  #log(request: IncomingMessage): LoggedRequest {
    const { method = '', url = '', headers } = request
    const match = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '')
    const last = match?.[2] === '' ? this.options.content.length - 1 : Number(match?.[2])
    const logged: LoggedRequest = {
      index: this.requests.length,
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

  /** The honest answer. */
  #plan(request: LoggedRequest, fault: Fault | undefined): Answer {
    const {
      content,
      etag,
      lastModified,
      ranges,
      maxConcurrent = Number.POSITIVE_INFINITY,
    } = this.options
    if (fault?.type === 'status') {
      return { status: fault.status, headers: { ...fault.headers }, content: Buffer.from('no') }
    }
    if (this.#active > maxConcurrent) {
      return { status: 503, headers: {}, content: Buffer.from('busy') }
    }
    const headers: Record<string, string> = {
      ...(etag === undefined ? {} : { ETag: etag }),
      ...(lastModified === undefined ? {} : { 'Last-Modified': lastModified }),
    }
    const wantsWhole =
      request.range === undefined ||
      ranges === 'ignored' ||
      fault?.type === 'whole' ||
      !this.#ifRangeHolds(request)
    if (wantsWhole) return { status: 200, headers, content }
    const [first, askedLast] = request.range as readonly [number, number]
    const last = Math.min(askedLast, content.length - 1)
    if (first > last) {
      return {
        status: 416,
        headers: { 'Content-Range': `bytes */${content.length}` },
        content: Buffer.from('beyond'),
      }
    }
    headers['Content-Range'] = `bytes ${first}-${last}/${content.length}`
    return { status: 206, headers, content: content.subarray(first, last + 1) }
  }

  #ifRangeHolds({ headers }: LoggedRequest): boolean {
    const asked = headers['if-range']
    const { ifRange = 'honoured', etag, lastModified } = this.options
    if (asked === undefined || ifRange === 'unknown') return true
    return ifRange === 'honoured' && (asked === etag || asked === lastModified)
  }

  async #send(
    response: ServerResponse,
    content: Buffer,
    logged: LoggedRequest,
    fault: Fault | undefined,
  ): Promise<void> {
    const cutAt =
      fault !== undefined && 'afterBytes' in fault ? fault.afterBytes : Number.POSITIVE_INFINITY
    const end = Math.min(content.length, cutAt)
    const { bytesPerSecond } = this.options
    const piece =
      bytesPerSecond === undefined ? PIECE_BYTES : Math.ceil((bytesPerSecond * PACE_MS) / 1000)
    const startedAt = performance.now()
    response.flushHeaders()
    for (let at = 0; at < end && !response.destroyed; at += piece) {
      const bytes = content.subarray(at, Math.min(end, at + piece))
      logged.sentBytes += bytes.length
      if (!response.write(bytes)) await drained(response)
      if (bytesPerSecond === undefined) continue
      // Against the clock, so that late timers do not add up.
      await pause(startedAt + ((at + bytes.length) * 1000) / bytesPerSecond - performance.now())
    }
    if (cutAt >= content.length || fault?.type === 'short') response.end()
    else if (fault?.type === 'stall') await closed(response)
    else await breakOff(response, fault?.type === 'reset')
  }
}

/** The answer with a lie in it. */
function spoil(
  answer: Answer,
  { range }: LoggedRequest,
  fault: Fault | undefined,
  { content, chunked }: ScriptedServerOptions,
): Answer {
  const { headers } = answer
  if (answer.status === 206 && range !== undefined) {
    if (fault?.type === 'shift') {
      const first = Math.max(0, range[0] + fault.by)
      const last = Math.max(first, Math.min(range[1] + fault.by, content.length - 1))
      headers['Content-Range'] = `bytes ${first}-${last}/${content.length}`
      answer.content = content.subarray(first, last + 1)
    } else if (fault?.type === 'content-range') {
      delete headers['Content-Range']
      if (fault.value !== undefined) headers['Content-Range'] = fault.value
    }
  }
  if (fault?.type === 'surplus') {
    answer.content = Buffer.concat([answer.content, Buffer.alloc(fault.bytes, 0xee)])
  }
  const isChunked = chunked === true || fault?.type === 'short' || fault?.type === 'surplus'
  if (!isChunked) headers['Content-Length'] = String(answer.content.length)
  if (fault?.type === 'headers') Object.assign(headers, fault.headers)
  return answer
}

function pause(delayMs: number): Promise<void> {
  if (delayMs <= 0) return Promise.resolve()
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

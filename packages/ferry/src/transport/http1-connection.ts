/**
 * HTTP/1.1 on one stream: one exchange at a time, keep-alive between them (RFC 9112).
 *
 *     new → active → idle → active → … → closed
 *
 * Owns the stream and closes it: when the peer ends it, when the bytes break the protocol, when an
 * exchange is given up, when the response says so. Knows no pool, no retry, no redirect.
 */
import type { Clock } from '../clock.ts'
import { RemoteProtocolError, StreamError, TimeoutError } from '../errors.ts'
import type { NetworkStream, StreamReader } from '../net/network-backend.ts'
import {
  type ResponseEvents,
  type ResponseHead,
  ResponseParser,
} from '../protocol/http1/response-parser.ts'
import { formatChunkSize, formatRequestHead, LAST_CHUNK } from '../protocol/http1/request-writer.ts'
import type { HeaderFields } from '../protocol/semantics/header-fields.ts'
import type {
  Connection,
  ConnectionState,
  Exchange,
  ExchangeTimeouts,
  ResponseHandler,
} from './connection.ts'
import type { HttpRequest, StreamedContent } from './http-request.ts'

/** What the owner of a connection is told. */
export interface Http1ConnectionOptions {
  readonly clock: Clock
  /** The state has become idle or closed. */
  readonly onStateChange: (connection: Http1Connection) => void
}

/** What an exchange asks of its connection. */
interface RunningOwner {
  resume(running: Running): void
  abort(running: Running, reason: Error): void
}

/** One exchange: its request, who takes the response, and how far it has come. */
class Running implements Exchange {
  readonly request: HttpRequest
  readonly handler: ResponseHandler
  readonly timeouts: ExchangeTimeouts
  readonly #owner: RunningOwner
  /** The request is on its way in full. */
  sent = true
  /** The content's length as announced, once the head is here. */
  length: number | undefined
  bytesReceived = 0
  /** A byte of a response has come. */
  started = false
  headReceived = false
  paused = false

  constructor(
    owner: RunningOwner,
    request: HttpRequest,
    handler: ResponseHandler,
    timeouts: ExchangeTimeouts,
  ) {
    this.#owner = owner
    this.request = request
    this.handler = handler
    this.timeouts = timeouts
  }

  resume(): void {
    this.#owner.resume(this)
  }

  abort(reason: Error): void {
    this.#owner.abort(this, reason)
  }
}

/** An HTTP/1.1 connection. */
export class Http1Connection implements Connection, StreamReader, ResponseEvents {
  #state: ConnectionState = 'new'
  #exchanges = 0
  #idleSince = 0
  readonly #stream: NetworkStream
  readonly #options: Http1ConnectionOptions
  readonly #parser = new ResponseParser(this)
  readonly #owner: RunningOwner = {
    resume: (running) => this.#resume(running),
    abort: (running, reason) => this.#abort(running, reason),
  }
  #running: Running | undefined
  #deadline = Number.POSITIVE_INFINITY
  #drained: (() => void) | undefined
  /** The trailers of a response that became whole in the current read. */
  #completed: HeaderFields | undefined

  constructor(stream: NetworkStream, options: Http1ConnectionOptions) {
    this.#stream = stream
    this.#options = options
    this.#idleSince = options.clock.now()
    stream.setIdle(true)
    stream.read(this)
  }

  get state(): ConnectionState {
    return this.#state
  }

  get exchanges(): number {
    return this.#exchanges
  }

  get idleSince(): number {
    return this.#idleSince
  }

  start(request: HttpRequest, handler: ResponseHandler, timeouts: ExchangeTimeouts): Exchange {
    const { content } = request
    const head = formatRequestHead({
      method: request.method,
      target: request.url.target,
      authority: request.url.authority,
      headers: request.headers,
      contentLength: contentLengthOf(content),
    })
    const running = new Running(this.#owner, request, handler, timeouts)
    this.#stream.setIdle(false)
    this.#running = running
    this.#state = 'active'
    this.#exchanges++
    this.#parser.expect(request.method)
    this.#deadline = this.#options.clock.now() + timeouts.headersTimeoutMs
    this.#stream.write(head)
    if (content instanceof Uint8Array) {
      this.#stream.write(content)
    } else if (content !== undefined) {
      running.sent = false
      this.#sendContent(running, content).catch((error: Error) => this.#abort(running, error))
    }
    return running
  }

  checkTimeouts(now: number): void {
    const running = this.#running
    if (running === undefined || running.paused || now < this.#deadline) return
    const { headersTimeoutMs, bodyTimeoutMs } = running.timeouts
    const what = `${running.request.method} ${running.request.url.label}`
    this.close(
      running.headReceived
        ? new TimeoutError(
            'body',
            bodyTimeoutMs,
            `Cannot read on from ${what}: nothing came for ${bodyTimeoutMs} ms`,
          )
        : new TimeoutError(
            'headers',
            headersTimeoutMs,
            `Cannot read the response to ${what}: no head within ${headersTimeoutMs} ms`,
          ),
    )
  }

  close(reason?: Error): void {
    if (this.#state === 'closed') return
    const running = this.#running
    this.#state = 'closed'
    this.#running = undefined
    this.#stream.close()
    this.#drained?.()
    running?.handler.onError(
      reason ?? lostConnection(running, 'the connection was closed'),
      running.started,
    )
    this.#options.onStateChange(this)
  }

  // ── StreamReader

  onBytes(bytes: Buffer): void {
    const running = this.#running
    if (running === undefined) {
      // RFC 9112 §9.2: bytes that no request asked for make the connection unusable.
      this.close()
      return
    }
    running.started = true
    try {
      const taken = this.#parser.push(bytes)
      this.#finishCompleted(running, taken === bytes.length)
      // Once a read; a response that is whole by now has no deadline.
      if (this.#running === running && running.headReceived) this.#extendDeadline(running)
    } catch (error) {
      this.close(error as Error)
    }
  }

  onEnd(): void {
    const running = this.#running
    if (running !== undefined && this.#parser.finish()) this.#finishCompleted(running, false)
    this.close(running && lostConnection(running, 'the server closed the connection'))
  }

  onError(cause: Error): void {
    const running = this.#running
    this.close(running && lostConnection(running, cause.message, cause))
  }

  onDrain(): void {
    this.#drained?.()
  }

  nextBuffer(): Buffer | undefined {
    const running = this.#running
    if (running === undefined || !running.headReceived) return undefined
    return running.handler.contentBuffer?.()
  }

  // ── ResponseEvents

  onInformation(head: ResponseHead): void {
    this.#running?.handler.onInformation?.(head)
  }

  onHead(head: ResponseHead, length: number | undefined): void {
    const running = this.#running
    if (running === undefined) return
    if (this.#parser.state === 'tunnel') {
      throw new RemoteProtocolError(
        'Cannot read the response: it switches protocols, which was not asked for',
      )
    }
    running.headReceived = true
    running.length = length
    running.handler.onHead(head, length, running)
  }

  onContent(bytes: Buffer, start: number, end: number): void {
    const running = this.#running
    if (running === undefined) return
    running.bytesReceived += end - start
    const content = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end)
    if (running.handler.onContent(content) || running.paused) return
    // The handler may have given the exchange up meanwhile.
    if (this.#running !== running) return
    running.paused = true
    this.#stream.pause()
  }

  onComplete(trailers: HeaderFields): void {
    this.#completed = trailers
  }

  /** Ends a whole response. Whoever hears of it may start the next exchange in the same turn. */
  #finishCompleted(running: Running, clean: boolean): void {
    const trailers = this.#completed
    this.#completed = undefined
    if (trailers === undefined || this.#running !== running) return
    this.#running = undefined
    this.#deadline = Number.POSITIVE_INFINITY
    if (clean && this.#parser.keepAlive && running.sent) {
      this.#state = 'idle'
      this.#idleSince = this.#options.clock.now()
      this.#stream.setIdle(true)
      // Last: what was held back meanwhile may come at once, and closes the connection.
      if (running.paused) this.#stream.resume()
    } else {
      this.#state = 'closed'
      this.#stream.close()
      this.#drained?.()
    }
    running.handler.onComplete(trailers)
    this.#options.onStateChange(this)
  }

  #extendDeadline(running: Running): void {
    this.#deadline = this.#options.clock.now() + running.timeouts.bodyTimeoutMs
  }

  #resume(running: Running): void {
    if (this.#running !== running || !running.paused) return
    running.paused = false
    this.#extendDeadline(running)
    this.#stream.resume()
  }

  #abort(running: Running, reason: Error): void {
    if (this.#running === running) this.close(reason)
  }

  async #sendContent(running: Running, content: StreamedContent): Promise<void> {
    const chunked = content.length === undefined
    let sent = 0
    for await (const chunk of content.open()) {
      if (this.#running !== running) return
      if (chunk.length === 0) continue
      sent += chunk.length
      checkSentLength(sent, content.length)
      if (chunked) this.#stream.write(formatChunkSize(chunk.length))
      const flowing = this.#stream.write(chunk)
      if (chunked) this.#stream.write('\r\n')
      // An upload that moves is no reason to give up waiting for the response.
      this.#deadline = this.#options.clock.now() + running.timeouts.headersTimeoutMs
      if (flowing) continue
      await this.#drain()
      // The exchange may have ended meanwhile; then the source is not asked for more.
      if (this.#running !== running) return
    }
    if (this.#running !== running) return
    if (chunked) this.#stream.write(LAST_CHUNK)
    else checkSentLength(sent, content.length, true)
    running.sent = true
  }

  #drain(): Promise<void> {
    return new Promise((resolve) => {
      this.#drained = () => {
        this.#drained = undefined
        resolve()
      }
    })
  }
}

function contentLengthOf(content: HttpRequest['content']): number | 'chunked' | undefined {
  return content === undefined ? undefined : (content.length ?? 'chunked')
}

function checkSentLength(sent: number, announced: number | undefined, atEnd = false): void {
  if (announced === undefined || (atEnd ? sent === announced : sent <= announced)) return
  throw new RangeError(`Cannot send the content: ${announced} bytes announced, ${sent} given`)
}

function lostConnection(running: Running, why: string, cause?: Error): StreamError {
  const { request, headReceived, bytesReceived, length } = running
  const got = headReceived
    ? `after ${bytesReceived}${length === undefined ? '' : ` of ${length}`} bytes`
    : 'before the response'
  return new StreamError(`Cannot finish ${request.method} ${request.url.label}: ${why} ${got}`, {
    cause,
    bytesReceived,
    expectedBytes: length,
  })
}

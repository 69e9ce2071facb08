/**
 * HTTP/1.1 on one stream: one exchange at a time, keep-alive between them (RFC 9112).
 *
 *     new → active → idle → active → … → closed
 *
 * Owns the stream and closes it: when the peer ends it, when the bytes break the protocol, when an
 * exchange is given up, when the response says so; a stream that has switched protocols is handed
 * over instead. Knows no pool, no retry, no redirect.
 */
import type { Clock } from '../clock.ts'
import { ConnectError, RemoteProtocolError } from '../errors.ts'
import { reasonOf } from '../net/connect-reasons.ts'
import type { NetworkStream, StreamReader } from '../net/network-backend.ts'
import { type ResponseEvents, ResponseParser } from '../protocol/http1/response-parser.ts'
import { formatRequestHead } from '../protocol/http1/request-writer.ts'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import { parseTokenList } from '../protocol/semantics/grammar.ts'
import { parseKeepAlive } from '../protocol/semantics/keep-alive.ts'
import type { ResponseHead } from '../protocol/semantics/response-head.ts'
import type {
  Connection,
  ConnectionMetrics,
  ConnectionState,
  ExchangeTask,
  Flow,
} from './connection.ts'
import { ConnectionCounters } from './connection-counters.ts'
import { ChunkedSink, type ContentSink, IdentitySink } from './content-sink.ts'
import type { HttpRequest, RequestContent } from './http-request.ts'
import { expectsContinue, RunningExchange, type RunningExchangeOwner } from './running-exchange.ts'
import { forwardTarget } from './request-target.ts'

/** What a connection is made with. */
export interface Http1ConnectionOptions {
  readonly clock: Clock
  /** Its number in the pool. */
  readonly id: number
  /** The state has become idle or closed. */
  readonly onStateChange: (connection: Connection) => void
  /** The peer is a proxy that forwards (RFC 9112 §3.2.2). */
  readonly forward?: { readonly authorization: string | undefined } | undefined
}

/** Smaller content goes out in one write with the head; larger is watched while it goes. */
const MAX_INLINE_CONTENT_BYTES = 65_536

/** An HTTP/1.1 connection. */
export class Http1Connection
  implements Connection, StreamReader, ResponseEvents, RunningExchangeOwner
{
  readonly id: number
  readonly maxStreams = 1
  readonly isSettled = true
  readonly takesUpgrades = true
  #state: ConnectionState = 'new'
  #idleSince: number
  #keepAliveMs = Number.POSITIVE_INFINITY
  #upgraded = false
  /** The running request says that it is the last (RFC 9112 §9.6). */
  #isLast = false
  readonly #stream: NetworkStream
  readonly #options: Http1ConnectionOptions
  readonly #parser = new ResponseParser(this)
  readonly #counters = new ConnectionCounters()
  #running: RunningExchange | undefined
  /** One whose response is whole and whose request is not: the connection is not free yet. */
  #sending: RunningExchange | undefined
  /** When the bytes came that are being read. */
  #readAt = 0
  /** The trailers of a response that became whole in the current read. */
  #completed: HeaderFields | undefined
  /** The head of a response that switched protocols in the current read. */
  #switched: ResponseHead | undefined

  constructor(stream: NetworkStream, options: Http1ConnectionOptions) {
    this.id = options.id
    this.#stream = stream
    this.#options = options
    this.#idleSince = options.clock.now()
    stream.setIdle(true)
    stream.read(this)
  }

  get clock(): Clock {
    return this.#options.clock
  }

  get state(): ConnectionState {
    return this.#state
  }

  get capacity(): number {
    return this.#state === 'new' || this.#state === 'idle' ? 1 : 0
  }

  get upgraded(): boolean {
    return this.#upgraded
  }

  get exchanges(): number {
    return this.#counters.requestCount
  }

  get idleSince(): number {
    return this.#idleSince
  }

  get keepAliveMs(): number {
    return this.#keepAliveMs
  }

  get metrics(): ConnectionMetrics {
    const idleMs = this.#state === 'idle' ? this.#options.clock.now() - this.#idleSince : undefined
    return this.#counters.toMetrics(this.id, this.#state, idleMs)
  }

  start(task: ExchangeTask, now: number): Flow {
    const { request, trace } = task
    const { content } = request
    const head = this.#formatHead(request)
    const running = new RunningExchange(this, task, now)
    this.#running = running
    this.#isLast = asksToClose(request)
    this.#state = 'active'
    this.#counters.requestCount++
    this.#stream.setIdle(false)
    this.#parser.expect(request.method)
    trace?.start('send-head')
    if (content === undefined) {
      this.#send(head, trace && (() => running.onHeadSent()))
    } else if (isSentWithHead(request, content)) {
      this.#send(joinHeadAndContent(head, content), trace && (() => running.onHeadSent()))
    } else {
      this.#send(head, trace && (() => running.onHeadSent()))
      running.openSender(this.#sinkFor(content))
    }
    return running
  }

  checkTimeouts(now: number): void {
    const error = (this.#running ?? this.#sending)?.findTimeout(now)
    if (error !== undefined) this.close(error)
  }

  close(reason?: Error): void {
    this.#fail(reason, false)
  }

  /** Closes; `isLoss` tells that the connection broke, and nobody chose to end the exchange. */
  #fail(reason: Error | undefined, isLoss: boolean): void {
    if (this.#state === 'closed') return
    const running = this.#running
    this.#state = 'closed'
    this.#running = undefined
    this.#stream.close()
    this.#endSending()
    if (running !== undefined) {
      const error = reason ?? running.describeLoss('the connection was closed')
      const now = this.#options.clock.now()
      this.#counters.countEnd(now - running.startedAt, { failed: true, sent: running.sentBytes })
      running.end(error)
      running.task.onError(error, {
        responseStarted: running.started,
        isLoss,
        wasLeaving: false,
        unprocessed: false,
      })
    }
    this.#options.onStateChange(this)
  }

  /** The sending that went on after its response is over, one way or the other. */
  #endSending(): void {
    const sending = this.#sending
    if (sending === undefined) return
    this.#sending = undefined
    this.#counters.bytesSent += sending.sentBytes
    sending.end()
  }

  // ── StreamReader

  onBytes(bytes: Buffer): void {
    const running = this.#running
    if (running === undefined) {
      // RFC 9112 §9.2: bytes that no request asked for make the connection unusable.
      this.close()
      return
    }
    const now = this.#options.clock.now()
    this.#readAt = now
    this.#counters.bytesReceived += bytes.length
    running.noteBytes(now)
    try {
      const taken = this.#parser.push(bytes)
      if (this.#completed !== undefined) this.#finishCompleted(running, taken === bytes.length)
      else if (this.#switched !== undefined) this.#handOver(running, bytes.subarray(taken))
    } catch (error) {
      this.close(error as Error)
    }
  }

  onEnd(): void {
    const running = this.#running
    this.#readAt = this.#options.clock.now()
    if (running !== undefined && this.#parser.finish()) this.#finishCompleted(running, false)
    this.#fail(running?.describeLoss('the server closed the connection'), true)
  }

  onError(cause: Error): void {
    // What TLS says after the handshake is no loss: it would be said again.
    if (cause instanceof ConnectError) this.#fail(cause, false)
    else this.#fail(this.#running?.describeLoss(reasonOf(cause), cause), true)
  }

  nextBuffer(): Buffer | undefined {
    const running = this.#running
    return running?.headReceived === true ? running.task.contentBuffer() : undefined
  }

  // ── ResponseEvents

  onInformation(head: ResponseHead): void {
    const running = this.#running
    if (running === undefined) return
    if (head.status === 100) running.startSending()
    running.task.onInformation(head)
  }

  onHead(head: ResponseHead, length: number | undefined): void {
    const running = this.#running
    if (running === undefined) return
    if (this.#parser.state === 'tunnel') {
      this.#checkSwitch(running, head)
      this.#switched = head
      return
    }
    running.noteHead(head.status, length, this.#readAt)
    running.task.onHead(head, length, this.#readAt)
  }

  onContent(bytes: Buffer, start: number, end: number): void {
    const running = this.#running
    if (running === undefined) return
    running.bytesReceived += end - start
    const content = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end)
    if (running.task.onContent(content) || running.paused) return
    // The handler may have given the exchange up meanwhile.
    if (this.#running !== running) return
    running.paused = true
    this.#stream.pause()
  }

  onComplete(trailers: HeaderFields): void {
    this.#completed = trailers
  }

  // ── RunningExchangeOwner

  resumeReading(running: RunningExchange): void {
    if (this.#running === running) this.#stream.resume()
  }

  giveUp(exchange: RunningExchange, reason: Error): void {
    if (this.#running === exchange || this.#sending === exchange) this.close(reason)
  }

  /** The response may have been whole before: then the connection becomes free only now. */
  onRequestSent(exchange: RunningExchange): void {
    if (this.#sending !== exchange) return
    this.#endSending()
    this.#becomeIdle(this.#options.clock.now())
    this.#options.onStateChange(this)
  }

  /**
   * Ends a whole response. The owner hears first, so that whoever waits has the connection before
   * the one who is told of the end asks for another.
   */
  #finishCompleted(running: RunningExchange, clean: boolean): void {
    const trailers = this.#completed
    this.#completed = undefined
    if (trailers === undefined || this.#running !== running) return
    const now = this.#readAt
    const reusable = clean && this.#parser.keepAlive && !this.#isLast && this.#takeKeepAliveHint()
    this.#running = undefined
    running.endReading()
    if (reusable && running.isSending) {
      // The server has accepted already, and reads on: what is left of the content is still its due.
      this.#sending = running
      this.#counters.countEnd(now - running.startedAt, { failed: false, sent: 0 })
      if (running.paused) this.#stream.resume()
    } else {
      this.#counters.countEnd(now - running.startedAt, { failed: false, sent: running.sentBytes })
      const wasSent = running.isSent
      running.end()
      if (reusable && wasSent) this.#becomeIdle(now, running.paused)
      else this.#becomeClosed()
      this.#options.onStateChange(this)
    }
    running.task.onComplete(trailers, now)
  }

  #becomeIdle(now: number, wasPaused = false): void {
    this.#state = 'idle'
    this.#idleSince = now
    this.#stream.setIdle(true)
    // Last: what was held back meanwhile may come at once, and closes the connection.
    if (wasPaused) this.#stream.resume()
  }

  #becomeClosed(): void {
    this.#state = 'closed'
    this.#stream.close()
  }

  /** Whether the server lets the connection live on. */
  #takeKeepAliveHint(): boolean {
    const field = this.#parser.keepAliveField
    if (field === undefined) return true
    const { timeoutMs, remainingRequests } = parseKeepAlive(field)
    this.#keepAliveMs = timeoutMs ?? Number.POSITIVE_INFINITY
    return remainingRequests !== 0
  }

  #checkSwitch(running: RunningExchange, head: ResponseHead): void {
    const { request, takesUpgrade } = running.task
    const asked = request.method === 'CONNECT' || request.headers.has('upgrade')
    if (takesUpgrade && asked) return
    throw new RemoteProtocolError(
      `Cannot read the response: it switches protocols (${head.status}), which was not asked for`,
    )
  }

  #handOver(running: RunningExchange, rest: Buffer): void {
    const head = this.#switched as ResponseHead
    this.#switched = undefined
    if (this.#running !== running) return
    this.#running = undefined
    this.#state = 'closed'
    this.#upgraded = true
    const now = this.#readAt
    this.#counters.countEnd(now - running.startedAt, { failed: false, sent: running.sentBytes })
    running.endReading()
    running.end()
    this.#stream.unread(rest)
    this.#options.onStateChange(this)
    running.task.onUpgrade(head, this.#stream, now)
  }

  #formatHead(request: HttpRequest): string {
    const { forward } = this.#options
    const { url, content, trailers } = request
    let { headers } = request
    if (trailers instanceof HeaderFields && !headers.has('trailer')) {
      // RFC 9110 §6.6.2: who knows the trailers beforehand names them.
      headers = headers.append('Trailer', trailers.names.join(', '))
    }
    if (forward?.authorization !== undefined && !headers.has('proxy-authorization')) {
      headers = headers.append('Proxy-Authorization', forward.authorization)
    }
    return formatRequestHead({
      method: request.method,
      target:
        forward === undefined
          ? request.requestTarget
          : forwardTarget(request.method, request.requestTarget, url),
      authority: url.authority,
      headers,
      contentLength: content === undefined ? undefined : (content.length ?? 'chunked'),
    })
  }

  #sinkFor(content: RequestContent): ContentSink {
    return content.length === undefined
      ? new ChunkedSink(this.#stream)
      : new IdentitySink(this.#stream)
  }

  #send(bytes: string | Uint8Array, onFlushed: (() => void) | undefined): void {
    this.#counters.bytesSent += bytes.length
    this.#stream.write(bytes, onFlushed)
  }
}

function isSentWithHead(request: HttpRequest, content: RequestContent): content is Uint8Array {
  return (
    content instanceof Uint8Array &&
    content.length <= MAX_INLINE_CONTENT_BYTES &&
    !expectsContinue(request)
  )
}

function joinHeadAndContent(head: string, content: Uint8Array): Buffer {
  const joined = Buffer.allocUnsafe(head.length + content.length)
  joined.write(head, 0, 'latin1')
  joined.set(content, head.length)
  return joined
}

function asksToClose({ headers }: HttpRequest): boolean {
  const connection = headers.get('connection')
  return connection !== undefined && parseTokenList(connection).includes('close')
}

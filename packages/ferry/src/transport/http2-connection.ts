/**
 * HTTP/2 on one stream of the network: many exchanges at a time (RFC 9113).
 *
 *     new → active ⇄ idle → … → closed
 *
 * Owns the stream and closes it: when the peer ends it, when the bytes break the protocol, when it
 * answers no PING, when the peer goes away and the last exchange is over. The session decides what
 * the bytes mean; this is its rim: reading, writing, time. Frames of one turn go out in one write.
 */
import type { Clock } from '../clock.ts'
import { ConnectError, LocalProtocolError, RemoteProtocolError, StreamError } from '../errors.ts'
import { reasonOf } from '../net/connect-reasons.ts'
import type { ExtraInfo, NetworkStream, StreamReader } from '../net/network-backend.ts'
import { ClientSession, type SessionEvents } from '../protocol/http2/client-session.ts'
import { ConnectionFault, nameOfErrorCode } from '../protocol/http2/error-code.ts'
import type { FrameOutput } from '../protocol/http2/frame-writer.ts'
import type { Http2Stream } from '../protocol/http2/http2-stream.ts'
import type { Http2RequestHead } from '../protocol/http2/request-fields.ts'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import type { ResponseHead } from '../protocol/semantics/response-head.ts'
import type {
  Connection,
  ConnectionMetrics,
  ConnectionState,
  ExchangeTask,
  Flow,
} from './connection.ts'
import { ConnectionCounters } from './connection-counters.ts'
import type { ContentSink, OnTaken } from './content-sink.ts'
import type { HttpRequest, RequestContent } from './http-request.ts'
import { Http2Exchange, type Http2ExchangeOwner } from './http2-exchange.ts'
import { repeatError } from './repeat-error.ts'
import { Http2Tunnel, type Http2TunnelOwner } from './http2-tunnel.ts'
import { expectsContinue } from './running-exchange.ts'

/** What a connection is made with. */
export interface Http2ConnectionOptions {
  readonly clock: Clock
  /** Its number in the pool. */
  readonly id: number
  /** How many streams its server took at once so far. @defaultValue Infinity: not known */
  readonly expectedStreams?: number
  /** There is room for another exchange, or none any more, or it is idle or closed. */
  readonly onStateChange: (connection: Connection) => void
  /** How long a busy connection may bring nothing before it is asked for a sign of life. */
  readonly pingIntervalMs: number
  /** How long it has to give one. */
  readonly pingTimeoutMs: number
}

/** Smaller content is queued at once; larger is watched while it goes. */
const MAX_INLINE_CONTENT_BYTES = 65_536
// Two blocks of frames: one with the system, one being filled.
const MAX_UNFLUSHED_BYTES = 270_336
// The same with heads, which go before content and are not bounded by it.
const MAX_WAITING_BYTES = 1_048_576

/** An HTTP/2 connection. */
export class Http2Connection
  implements Connection, StreamReader, SessionEvents, Http2ExchangeOwner, Http2TunnelOwner
{
  readonly id: number
  readonly upgraded = false
  /** It says nothing of how long it lives; GOAWAY tells when it ends. */
  readonly keepAliveMs: number = Number.POSITIVE_INFINITY
  #closed = false
  #idleSince: number
  readonly #stream: NetworkStream
  readonly #options: Http2ConnectionOptions
  readonly #session = new ClientSession(this)
  readonly #counters = new ConnectionCounters()
  readonly #exchanges = new Set<Http2Exchange>()
  readonly #tunnels = new Set<Http2Tunnel>()
  #readAt: number
  #isReading = false
  #flushScheduled = false
  #unflushedBytes = 0
  #pingSentAt: number | undefined
  #goAwayCode: number | undefined
  /** Exchanges that are traced and whose head is not written. */
  readonly #traced: Http2Exchange[] = []
  /** Streams that the peer takes at once, as it has shown by refusing more. */
  #maxStreams = Number.POSITIVE_INFINITY

  constructor(stream: NetworkStream, options: Http2ConnectionOptions) {
    this.id = options.id
    this.#stream = stream
    this.#options = options
    this.#readAt = options.clock.now()
    this.#idleSince = this.#readAt
    // Until the settings are here it is not idle: a request may wait for them.
    stream.setIdle(false)
    stream.read(this)
    this.#flush()
  }

  get clock(): Clock {
    return this.#options.clock
  }

  get readAt(): number {
    return this.#readAt
  }

  get state(): ConnectionState {
    if (this.#closed) return 'closed'
    if (this.#session.openStreams > 0) return 'active'
    return this.#counters.requestCount === 0 ? 'new' : 'idle'
  }

  get capacity(): number {
    if (this.#closed) return 0
    const { capacity, openStreams, settingsReceived } = this.#session
    const expected = settingsReceived ? undefined : this.#options.expectedStreams
    const most = Math.min(this.#maxStreams, expected ?? Number.POSITIVE_INFINITY)
    return Math.min(capacity, Math.max(0, most - openStreams))
  }

  /** Streams that the peer takes at once; Infinity when it does not bound them. */
  get maxStreams(): number {
    const { settingsReceived, peer } = this.#session
    return settingsReceived ? peer.maxConcurrentStreams : Number.POSITIVE_INFINITY
  }

  get isSettled(): boolean {
    const { settingsReceived, peer } = this.#session
    return settingsReceived && peer.maxConcurrentStreams > 0
  }

  /** Whether other protocols may be asked for (RFC 8441); undefined until the peer has told. */
  get takesUpgrades(): boolean | undefined {
    return this.#session.settingsReceived ? this.#session.peer.connectProtocol : undefined
  }

  get exchanges(): number {
    return this.#counters.requestCount
  }

  get idleSince(): number {
    return this.#idleSince
  }

  get metrics(): ConnectionMetrics {
    const { state } = this
    const idleMs = state === 'idle' ? this.clock.now() - this.#idleSince : undefined
    return this.#counters.toMetrics(this.id, state, idleMs)
  }

  getExtraInfo<Name extends keyof ExtraInfo>(name: Name): ExtraInfo[Name] {
    return this.#stream.getExtraInfo(name)
  }

  start(task: ExchangeTask, now: number): Flow {
    const { request, trace } = task
    const { content } = request
    const head = this.#headOf(task)
    const isTunnel = head.method === 'CONNECT'
    if (this.#session.openStreams === 0) this.#stream.setIdle(false)
    const exchange = new Http2Exchange(this, task, head.method, now)
    const stream = this.#session.open(head, exchange, content === undefined && !isTunnel)
    exchange.stream = stream
    this.#exchanges.add(exchange)
    this.#counters.requestCount++
    trace?.start('send-head')
    if (content !== undefined) this.#startContent(exchange, stream, request, content)
    if (trace !== undefined) this.#traced.push(exchange)
    this.#scheduleFlush()
    return exchange
  }

  checkTimeouts(now: number): void {
    for (const exchange of [...this.#exchanges]) {
      const error = exchange.findTimeout(now)
      if (error !== undefined) this.giveUp(exchange, error)
    }
    const isWatched = this.#session.openStreams > 0 || this.#pingSentAt !== undefined
    if (!this.#closed && isWatched) this.#checkPing(now)
  }

  close(reason?: Error): void {
    this.#fail({ why: 'the connection was closed', reason, isLoss: false })
  }

  // ── StreamReader

  onBytes(bytes: Buffer): void {
    const now = this.clock.now()
    this.#readAt = now
    this.#pingSentAt = undefined
    this.#counters.bytesReceived += bytes.length
    this.#isReading = true
    try {
      this.#session.push(bytes, now)
    } catch (error) {
      this.#isReading = false
      this.#failOn(error as Error)
      return
    }
    this.#isReading = false
    this.#flush()
  }

  onEnd(): void {
    this.#fail({ why: this.#describeEnd(), isLoss: true })
  }

  onError(cause: Error): void {
    const why = reasonOf(cause)
    // What TLS says after the handshake is no loss: it would be said again.
    if (cause instanceof ConnectError) this.#fail({ why, reason: cause, isLoss: false })
    else this.#fail({ why, cause, isLoss: true })
  }

  // ── SessionEvents

  onSettings(): void {
    if (this.#session.openStreams === 0) this.#stream.setIdle(true)
    this.#options.onStateChange(this)
  }

  onRefused(): void {
    // It takes no more than it has now; one that has none is asked again.
    this.#maxStreams = Math.max(1, this.#session.openStreams - 1)
  }

  onGoAway(code: number): void {
    this.#goAwayCode = code
    if (this.#session.openStreams === 0) this.close()
    else this.#options.onStateChange(this)
  }

  onStreamOver(stream: Http2Stream): void {
    const { handler } = stream
    if (handler instanceof Http2Tunnel) this.#tunnels.delete(handler)
    else if (handler instanceof Http2Exchange) {
      // A whole response may still have content that its reader leaves lying.
      const isHeld = handler.isWhole && !handler.hasEnded
      if (!isHeld) this.#exchanges.delete(handler)
    }
    if (this.#session.openStreams === 0) this.#becomeIdle()
    else this.#options.onStateChange(this)
  }

  // ── Http2ExchangeOwner

  consume(stream: Http2Stream, bytes: number): void {
    this.#session.consume(stream, bytes)
    this.#scheduleFlush()
  }

  resumeReading(): void {}

  giveUp(exchange: Http2Exchange, reason: Error): void {
    const { stream } = exchange
    if (stream !== undefined) this.#session.reset(stream, 'CANCEL')
    this.#scheduleFlush()
    this.#endExchange(exchange, reason, { isLoss: false, unprocessed: false })
  }

  onRequestSent(): void {}

  onResponseEnd(exchange: Http2Exchange): void {
    // A peer that has refused some may take more again.
    this.#maxStreams++
    this.#counters.countEnd(this.#readAt - exchange.startedAt, { failed: false, sent: 0 })
  }

  onStreamFailure(exchange: Http2Exchange, error: Error, unprocessed: boolean): void {
    this.#endExchange(exchange, error, { isLoss: false, unprocessed })
  }

  onComplete(exchange: Http2Exchange): void {
    if (exchange.stream?.state === 'closed') this.#exchanges.delete(exchange)
  }

  handOver(exchange: Http2Exchange, head: ResponseHead): void {
    const { task } = exchange
    const stream = exchange.stream as Http2Stream
    if (!task.takesUpgrade) {
      const error = new RemoteProtocolError(
        `Cannot read the response: it switches protocols (${head.status}), which was not asked for`,
      )
      this.giveUp(exchange, error)
      return
    }
    const tunnel = new Http2Tunnel(this, stream)
    stream.handler = tunnel
    this.#exchanges.delete(exchange)
    this.#tunnels.add(tunnel)
    this.#counters.countEnd(this.#readAt - exchange.startedAt, { failed: false, sent: 0 })
    exchange.endReading()
    task.onUpgrade(head, tunnel, this.#readAt)
  }

  // ── Http2TunnelOwner

  sendOn(stream: Http2Stream, bytes: Uint8Array, onTaken: OnTaken): void {
    this.#session.send(stream, bytes, onTaken)
    this.#scheduleFlush()
  }

  sendEndOn(stream: Http2Stream): void {
    this.#session.sendEnd(stream, HeaderFields.empty)
    this.#scheduleFlush()
  }

  resetTunnel({ stream }: Http2Tunnel): void {
    this.#session.reset(stream, 'CANCEL')
    this.#scheduleFlush()
  }

  // ── Sending

  /** @throws {LocalProtocolError} */
  #headOf({ request, takesUpgrade }: ExchangeTask): Http2RequestHead {
    const { method, url, headers, content, trailers } = request
    if (headers.getAll('host').length > 1) {
      throw new LocalProtocolError('Cannot send the field Host twice')
    }
    const authority = headers.get('host') ?? url.authority
    const { scheme } = url.origin
    if (method === 'CONNECT') {
      const { requestTarget } = request
      return { ...TUNNEL, scheme, authority: requestTarget, path: undefined, headers }
    }
    const protocol = takesUpgrade ? headers.get('upgrade') : undefined
    if (protocol !== undefined) {
      if (this.takesUpgrades === false) {
        throw new LocalProtocolError(
          `Cannot ask ${url.origin.key} for ${protocol}: it takes no CONNECT with a protocol over HTTP/2`,
        )
      }
      // RFC 8441 §5: the key of a WebSocket belongs to the way over HTTP/1.1.
      const kept = headers.without('Sec-WebSocket-Key')
      const path = request.requestTarget
      return { ...TUNNEL, protocol, scheme, authority, path, headers: kept }
    }
    return {
      method,
      scheme,
      authority,
      path: request.requestTarget,
      protocol: undefined,
      headers:
        trailers instanceof HeaderFields && !headers.has('trailer')
          ? headers.append('Trailer', trailers.names.join(', '))
          : headers,
      contentLength: content === undefined ? undefined : (content.length ?? 'unknown'),
    }
  }

  #startContent(
    exchange: Http2Exchange,
    stream: Http2Stream,
    request: HttpRequest,
    content: RequestContent,
  ): void {
    const isInline =
      content instanceof Uint8Array &&
      content.length <= MAX_INLINE_CONTENT_BYTES &&
      !expectsContinue(request)
    if (isInline) {
      exchange.noteQueued(exchange.startedAt)
      this.#session.send(stream, content)
      this.#session.sendEnd(stream, HeaderFields.empty)
    } else {
      exchange.openSender(new Http2Sink(this, stream))
    }
  }

  /** @internal For the sinks of content. */
  finishContent(stream: Http2Stream, trailers: HeaderFields): void {
    this.#session.sendEnd(stream, trailers)
    this.#scheduleFlush()
  }

  /** @internal For the sinks of content. */
  stopContent(stream: Http2Stream): void {
    this.#session.stopSending(stream)
    this.#scheduleFlush()
  }

  /** Writes at the end of this turn, so that all its frames go together. */
  #scheduleFlush(): void {
    if (this.#isReading || this.#flushScheduled || this.#closed) return
    this.#flushScheduled = true
    process.nextTick(() => {
      this.#flushScheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    const session = this.#session
    // What is left lies in the session, which bounds it, until the peer has read.
    while (!this.#closed && this.#unflushedBytes < MAX_WAITING_BYTES) {
      session.fill(MAX_UNFLUSHED_BYTES - this.#unflushedBytes)
      const output = session.take()
      if (output === undefined) return
      this.#write(output)
    }
  }

  #write({ bytes, retired }: FrameOutput): void {
    const { length } = bytes
    this.#counters.bytesSent += length
    this.#unflushedBytes += length
    const traced = this.#traced.splice(0)
    this.#stream.write(bytes, () => {
      for (const exchange of traced) exchange.onHeadSent()
      this.#unflushedBytes -= length
      if (retired !== undefined) this.#session.recycle(retired)
      this.#flush()
    })
  }

  // ── Ending

  #becomeIdle(): void {
    if (this.#closed) return
    if (this.#session.isDraining) {
      this.close()
      return
    }
    this.#idleSince = this.#isReading ? this.#readAt : this.clock.now()
    this.#maxStreams = Number.POSITIVE_INFINITY
    this.#session.shrink()
    this.#stream.setIdle(true)
    this.#options.onStateChange(this)
  }

  #endExchange(
    exchange: Http2Exchange,
    error: Error,
    { isLoss, unprocessed }: { readonly isLoss: boolean; readonly unprocessed: boolean },
  ): void {
    const { hasEnded, isWhole } = exchange
    this.#exchanges.delete(exchange)
    exchange.end(error)
    if (hasEnded) return
    const now = this.clock.now()
    if (!isWhole) this.#counters.countEnd(now - exchange.startedAt, { failed: true, sent: 0 })
    const wasLeaving = this.#goAwayCode !== undefined
    const { started: responseStarted } = exchange
    exchange.task.onError(error, { responseStarted, isLoss, wasLeaving, unprocessed })
  }

  #checkPing(now: number): void {
    const { pingIntervalMs, pingTimeoutMs } = this.#options
    if (this.#pingSentAt !== undefined) {
      if (now - this.#pingSentAt < pingTimeoutMs) return
      const why = `the server gave no sign of life for ${Math.round(now - this.#readAt)} ms`
      this.#fail({ why, isLoss: true })
    } else if (now - this.#readAt >= pingIntervalMs) {
      this.#pingSentAt = now
      this.#session.ping()
      this.#flush()
    }
  }

  /** What the peer has sent is of no use. */
  #failOn(error: Error): void {
    if (this.#closed) return
    if (!(error instanceof ConnectionFault)) {
      this.close(error)
      return
    }
    const { code, message } = error
    const reason = new RemoteProtocolError(
      `Cannot go on with the HTTP/2 connection: the server sent ${message}`,
      { detail: { http2Code: code } },
    )
    this.#fail({ why: message, reason, isLoss: false, code })
  }

  #describeEnd(): string {
    const code = this.#goAwayCode ?? 0
    return `the server closed the connection${code === 0 ? '' : ` (${nameOfErrorCode(code)})`}`
  }

  #fail({ why, reason, cause, isLoss, code = 'NO_ERROR' }: Ending): void {
    if (this.#closed) return
    const exchanges = [...this.#exchanges]
    const tunnels = [...this.#tunnels]
    this.#exchanges.clear()
    this.#tunnels.clear()
    this.#session.end(code)
    const last = this.#session.take()
    this.#closed = true
    if (last !== undefined) this.#stream.write(last.bytes)
    this.#stream.close()
    for (const exchange of exchanges) {
      // One whose response is whole has all it needs.
      if (exchange.isWhole) exchange.outliveConnection()
      else {
        const error = reason === undefined ? exchange.describeLoss(why, cause) : repeatError(reason)
        this.#endExchange(exchange, error, { isLoss, unprocessed: false })
      }
    }
    for (const tunnel of tunnels) {
      const error = new StreamError(`Cannot go on with the tunnel: ${why}`, { cause })
      tunnel.fail(reason ?? error)
    }
    this.#options.onStateChange(this)
  }
}

/** How a connection ends. */
interface Ending {
  readonly why: string
  /** What exchanges fail with; undefined for what `why` says. */
  readonly reason?: Error | undefined
  readonly cause?: Error
  /** It broke, and nobody chose to end the exchanges. */
  readonly isLoss: boolean
  readonly code?: ConnectionFault['code']
}

const TUNNEL = { method: 'CONNECT', protocol: undefined, contentLength: 'unknown' } as const

/** Puts the content of a request into its stream. */
class Http2Sink implements ContentSink {
  readonly #connection: Http2Connection
  readonly #stream: Http2Stream

  constructor(connection: Http2Connection, stream: Http2Stream) {
    this.#connection = connection
    this.#stream = stream
  }

  send(bytes: Uint8Array, onTaken: OnTaken): number {
    this.#connection.sendOn(this.#stream, bytes, onTaken)
    return bytes.length
  }

  sendCopy(bytes: Uint8Array, onTaken: OnTaken): number {
    return this.send(Buffer.from(bytes), onTaken)
  }

  end(trailers: HeaderFields): number {
    this.#connection.finishContent(this.#stream, trailers)
    return 0
  }

  stop(): void {
    this.#connection.stopContent(this.#stream)
  }
}

/**
 * The client's side of one HTTP/2 connection (RFC 9113): bytes in, events out; commands in, bytes out.
 * No I/O, no clock.
 *
 * Owns the streams, both directions' windows, the settings of both sides and the two header tables.
 * What breaks one stream resets it and is told to its handler; what breaks the connection is thrown.
 * Header blocks are encoded in the order in which they are written: the peer's table depends on it.
 */
import { HeaderFields } from '../semantics/header-fields.ts'
import { ConnectionFault, ErrorCode, type ErrorCodeName, StreamFault } from './error-code.ts'
import { FrameBudget } from './frame-budget.ts'
import { DEFAULT_FRAME_LIMITS, type FrameEvents, FrameParser } from './frame-parser.ts'
import { DEFAULT_WINDOW_BYTES, MAX_31_BITS, Setting } from './frame-table.ts'
import { type FrameOutput, FrameWriter } from './frame-writer.ts'
import { HpackDecoder } from './hpack-decoder.ts'
import { HpackEncoder } from './hpack-encoder.ts'
import { HpackError } from './hpack-error.ts'
import type { HpackField } from './hpack-field.ts'
import { Http2Stream, type StreamFailure, type StreamHandler } from './http2-stream.ts'
import { encodeRequestHead, type Http2RequestHead } from './request-fields.ts'
import { readTrailerFields, ResponseFieldReader } from './response-fields.ts'
import { SendScheduler, windowTooWide } from './send-scheduler.ts'
import { applySettings, defaultPeerSettings, type PeerSettings } from './settings.ts'

/** What a session tells of the connection as a whole. */
export interface SessionEvents {
  /** The peer's settings are here, or have changed. */
  onSettings(): void
  /** The peer has refused a stream: it takes no more than the others. Its handler is told next. */
  onRefused(): void
  /** The peer takes no new streams; those that it will not serve are told next. */
  onGoAway(code: number): void
  /** A stream is over on the wire: there may be room for another. Its handler is told next. */
  onStreamOver(stream: Http2Stream): void
}

// What a stream may bring before its reader has shown that it keeps up: held for each reader that
// does not. Wider than a round trip to most servers needs.
const FIRST_WINDOW_BYTES = 262_144
// 8 MiB fill a gigabit at 60 ms.
const MAX_WINDOW_BYTES = 8_388_608
// What all streams together may be given beyond their first windows.
const MAX_GROWTH_BYTES = 67_108_864
// What is under way in all; given back as it comes, so that no slow reader stops the others.
const CONNECTION_WINDOW_BYTES = 67_108_864
// As much as a head may have in HTTP/1.1.
const MAX_HEADER_LIST_BYTES = 65_536
const MAX_INFORMATION_RESPONSES = 64
// Frames of streams that we have reset may be under way; those of older ones are taken for the same.
const MAX_REMEMBERED_RESETS = 1000
const LAST_STREAM_ID = MAX_31_BITS
const COST = { control: 1, settings: 20, empty: 2, information: 1 } as const
const CREDIT = { head: 4 } as const
// What comes is mostly of use; little pieces of it are not worth many other frames.
const BYTES_PER_CREDIT = 256
// Far more than a peer that reads ever has to wait for.
const MAX_WAITING_ANSWERS = 1000

/** A session. Whoever makes it sends what `take()` gives. */
export class ClientSession implements FrameEvents {
  readonly peer: PeerSettings = defaultPeerSettings()
  readonly #events: SessionEvents
  readonly #parser = new FrameParser(this, { ...DEFAULT_FRAME_LIMITS, beginsWithSettings: true })
  readonly #writer = new FrameWriter()
  readonly #encoder = new HpackEncoder()
  readonly #decoder = new HpackDecoder()
  readonly #budget = new FrameBudget()
  readonly #responseFields = new ResponseFieldReader()
  readonly #streams = new Map<number, Http2Stream>()
  readonly #scheduler: SendScheduler
  /** Streams that we have reset, and what their windows allowed then. */
  readonly #resets = new Map<number, number>()
  /** Frames that answer the peer and have not been taken. */
  #answers = 0
  #nextStreamId: number
  #settingsReceived = false
  #receiveWindow = CONNECTION_WINDOW_BYTES
  #growthBytes = 0
  /** The last stream that the peer has taken on; undefined before GOAWAY. */
  #lastStreamId: number | undefined
  #fields: HpackField[] = []
  #now = 0

  /** `firstStreamId` is for tests of how the numbers end. */
  constructor(events: SessionEvents, options: { readonly firstStreamId?: number } = {}) {
    this.#events = events
    this.#nextStreamId = options.firstStreamId ?? 1
    this.#scheduler = new SendScheduler({
      peer: this.peer,
      writer: this.#writer,
      encoder: this.#encoder,
      budget: this.#budget,
      onSent: (stream) => {
        if (stream.state === 'closed') this.#forget(stream)
        else stream.handler.onSent?.()
      },
    })
    this.#writer.preface()
    this.#writer.settings([
      [Setting.ENABLE_PUSH, 0],
      [Setting.INITIAL_WINDOW_SIZE, FIRST_WINDOW_BYTES],
      [Setting.MAX_HEADER_LIST_SIZE, MAX_HEADER_LIST_BYTES],
    ])
    this.#writer.windowUpdate(0, CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES)
  }

  get settingsReceived(): boolean {
    return this.#settingsReceived
  }

  /** Streams that are open in at least one direction. */
  get openStreams(): number {
    return this.#streams.size
  }

  /** How many streams could be opened now. */
  get capacity(): number {
    if (this.isDraining) return 0
    return Math.max(0, this.peer.maxConcurrentStreams - this.#streams.size)
  }

  /** No new streams: the peer has said so, or there are no numbers left. */
  get isDraining(): boolean {
    return this.#lastStreamId !== undefined || this.#nextStreamId > LAST_STREAM_ID
  }

  // ── Receiving

  /**
   * Takes what has come. `now` in ms, on any clock.
   * @throws {ConnectionFault} when the connection is of no use any more
   */
  push(bytes: Buffer, now: number): void {
    this.#now = now
    this.#parser.push(bytes)
  }

  onSettings(payload: Buffer): void {
    if (this.#settingsReceived) this.#budget.spend(COST.settings, this.#now)
    const { peer } = this
    const before = peer.initialWindowBytes
    if (!this.#settingsReceived) {
      this.#settingsReceived = true
      // Who does not bound it takes as many as there are (§6.5.2).
      peer.maxConcurrentStreams = Number.POSITIVE_INFINITY
    }
    applySettings(peer, payload, (bytes) => this.#encoder.setMaxTableBytes(bytes))
    if (peer.initialWindowBytes !== before) this.#widenAll(peer.initialWindowBytes - before)
    this.#countAnswer()
    this.#writer.settingsAck()
    this.#events.onSettings()
  }

  onSettingsAck(): void {
    this.#budget.spend(COST.control, this.#now)
  }

  onPing(payload: Buffer, ack: boolean): void {
    this.#budget.spend(COST.control, this.#now)
    if (ack) return
    this.#countAnswer()
    this.#writer.ping(payload, true)
  }

  onIgnored(): void {
    this.#budget.spend(COST.control, this.#now)
  }

  onGoAway(lastStreamId: number, code: number): void {
    this.#budget.spend(COST.control, this.#now)
    if (this.#lastStreamId !== undefined && lastStreamId > this.#lastStreamId) {
      throw new ConnectionFault('PROTOCOL_ERROR', 'a GOAWAY that takes on more than the one before')
    }
    this.#lastStreamId = lastStreamId
    this.#events.onGoAway(code)
    for (const stream of [...this.#streams.values()]) {
      // One that is told may end others.
      if (stream.id <= lastStreamId || stream.state === 'closed') continue
      this.#forget(stream)
      this.#tellEnd(stream, { type: stream.part === 'head' ? 'unprocessed' : 'reset', code })
    }
  }

  onWindowUpdate(streamId: number, increment: number): void {
    this.#budget.spendUpdate(this.#now)
    if (streamId === 0) {
      if (increment === 0) throw new ConnectionFault('PROTOCOL_ERROR', 'a window update of 0')
      this.#scheduler.widen(increment)
      return
    }
    const stream = this.#find(streamId)
    if (stream === undefined) return
    if (increment === 0) {
      this.#fail(stream, new StreamFault('PROTOCOL_ERROR', 'a window update of 0'))
      return
    }
    stream.sendWindow += increment
    if (stream.sendWindow > MAX_31_BITS) {
      this.#fail(stream, new StreamFault('FLOW_CONTROL_ERROR', 'a window beyond 2^31-1'))
      return
    }
    this.#scheduler.schedule(stream)
  }

  onRstStream(streamId: number, code: number): void {
    const stream = this.#find(streamId)
    if (stream === undefined) {
      this.#budget.spend(COST.control, this.#now)
      return
    }
    const unprocessed = code === ErrorCode.REFUSED_STREAM && stream.part === 'head'
    // Some servers say so of a stream too many.
    if (unprocessed || code === ErrorCode.ENHANCE_YOUR_CALM) this.#events.onRefused()
    if (stream.state === 'closed') return
    this.#forget(stream)
    this.#tellEnd(stream, { type: unprocessed ? 'unprocessed' : 'reset', code })
  }

  onHeaders(streamId: number, block: Buffer, endStream: boolean): void {
    const stream = this.#findForContent(streamId)
    // Even what is not wanted is read, for the sake of the table (RFC 7541 §2.2).
    const fields = this.#decode(block)
    if (stream === undefined) {
      this.#budget.spend(COST.empty, this.#now)
      return
    }
    try {
      if (fields === undefined) {
        throw new StreamFault(
          'ENHANCE_YOUR_CALM',
          `a header list of more than ${MAX_HEADER_LIST_BYTES} bytes`,
        )
      }
      // §8.5: a tunnel has nothing but content.
      if (stream.part === 'tunnel') throw new StreamFault('PROTOCOL_ERROR', 'a head in a tunnel')
      if (stream.part === 'head') this.#takeHead(stream, fields, endStream)
      else this.#takeTrailers(stream, fields, endStream)
    } catch (fault) {
      if (!(fault instanceof StreamFault)) throw fault
      this.#fail(stream, fault)
    }
  }

  onData(
    streamId: number,
    {
      bytes,
      start,
      end,
      flowBytes,
      endStream,
      endsEmptyFrame,
    }: Parameters<FrameEvents['onData']>[1],
  ): void {
    this.#countReceived(flowBytes)
    const length = end - start
    const stream = this.#findForContent(streamId)
    if (endsEmptyFrame && !endStream) this.#budget.spend(COST.empty, this.#now)
    if (stream === undefined) {
      this.#discard(streamId, flowBytes)
      return
    }
    this.#budget.earn(length / BYTES_PER_CREDIT)
    const fault = checkData(stream, flowBytes, length)
    if (fault !== undefined) {
      this.#fail(stream, fault)
      return
    }
    if (length > 0) stream.handler.onContent(bytes, start, end)
    // Padding is taken by nobody.
    if (flowBytes > length) this.consume(stream, flowBytes - length)
    if (endStream) this.#endResponse(stream, HeaderFields.empty)
  }

  // ── Sending

  /**
   * Opens a stream by the head of a request. Only while there is `capacity`.
   * `endStream`: nothing follows it.
   */
  open(head: Http2RequestHead, handler: StreamHandler, endStream: boolean): Http2Stream {
    const stream = new Http2Stream(this.#nextStreamId, handler, {
      send: this.peer.initialWindowBytes,
      receive: FIRST_WINDOW_BYTES,
    })
    this.#nextStreamId += 2
    this.#streams.set(stream.id, stream)
    const block = encodeRequestHead(this.#encoder, head)
    this.#writer.headers(stream.id, block, { endStream, maxFrameBytes: this.peer.maxFrameBytes })
    if (endStream) stream.step('send-end')
    return stream
  }

  /**
   * Queues content, which must stay as it is until `onTaken` has been told of all its bytes: as they
   * are copied for the wire, or when the stream is over.
   */
  send(stream: Http2Stream, bytes: Uint8Array, onTaken?: (bytes: number) => void): void {
    const isOver = !stream.maySend || stream.sendingStopped || stream.trailers !== undefined
    if (isOver || bytes.length === 0) {
      onTaken?.(bytes.length)
      return
    }
    stream.queue.push({ bytes, onTaken })
    this.#scheduler.schedule(stream)
  }

  /** Ends the request behind what is queued. */
  sendEnd(stream: Http2Stream, trailers: HeaderFields): void {
    if (!stream.maySend || stream.sendingStopped) return
    stream.trailers = trailers
    this.#scheduler.schedule(stream)
  }

  /** Sends no more content of a request whose response is still wanted. */
  stopSending(stream: Http2Stream): void {
    if (!stream.maySend || stream.sendingStopped) return
    stream.sendingStopped = true
    this.#scheduler.drop(stream)
    // The response is whole: nothing is left to wait for.
    if (stream.part === 'ended') this.reset(stream, 'CANCEL')
  }

  /** Ends a stream; its handler is told nothing. Idempotent. */
  reset(stream: Http2Stream, code: ErrorCodeName): void {
    if (stream.state === 'closed') return
    this.#writer.rstStream(stream.id, code)
    this.#remember(stream)
    this.#forget(stream)
  }

  /** Lets the peer send as much again. */
  consume(stream: Http2Stream, bytes: number): void {
    stream.consumedBytes += bytes
    if (!stream.mayReceive || stream.consumedBytes * 2 < stream.windowTarget) return
    let increment = stream.consumedBytes
    if (!stream.heldBack) increment += this.#growWindow(stream)
    stream.heldBack = false
    stream.consumedBytes = 0
    stream.receiveWindow += increment
    this.#writer.windowUpdate(stream.id, increment)
  }

  /** Asks for a sign of life: whatever comes next. */
  ping(): void {
    this.#writer.ping(new Uint8Array(8), false)
  }

  /** Says why the connection ends, and forgets every stream; their handlers are told nothing. */
  end(code: ErrorCodeName): void {
    this.#writer.goAway(code)
    for (const stream of [...this.#streams.values()]) {
      stream.step('reset')
      this.#streams.delete(stream.id)
      this.#scheduler.drop(stream)
    }
    this.#lastStreamId ??= 0
    this.#parser.stop()
  }

  /** Puts queued content into frames: up to so many bytes, as long as they lie in one block. */
  fill(maxBytes: number): void {
    this.#scheduler.fill(maxBytes)
  }

  /** Whether content waits that could be sent. */
  get canFill(): boolean {
    return this.#scheduler.isReady
  }

  /** What is to be written now; undefined when nothing is. */
  take(): FrameOutput | undefined {
    this.#answers = 0
    return this.#writer.take()
  }

  /** See `FrameOutput.retired`. */
  recycle(block: Buffer): void {
    this.#writer.recycle(block)
  }

  /** Lets go of memory that only a busy connection needs. */
  shrink(): void {
    this.#writer.shrink()
  }

  // ── Streams

  /** Answers that the peer leaves lying are not to pile up. */
  #countAnswer(): void {
    this.#answers++
    if (this.#answers <= MAX_WAITING_ANSWERS) return
    throw new ConnectionFault('ENHANCE_YOUR_CALM', 'more to be answered than it reads')
  }

  /** Content of a stream that is over: what was under way when we reset it costs the peer nothing. */
  #discard(streamId: number, flowBytes: number): void {
    const allowed = (this.#resets.get(streamId) ?? 0) - flowBytes
    if (flowBytes > 0 && allowed >= 0) this.#resets.set(streamId, allowed)
    else this.#budget.spend(COST.empty, this.#now)
  }

  /** A stream, or undefined when it is over. */
  #find(streamId: number): Http2Stream | undefined {
    const stream = this.#streams.get(streamId)
    if (stream !== undefined) return stream
    // §5.1.1: even numbers are the server's, of which there are none; others we have not used yet.
    if (streamId % 2 === 0 || streamId >= this.#nextStreamId) {
      throw new ConnectionFault('PROTOCOL_ERROR', `a frame on stream ${streamId}, which is idle`)
    }
    return undefined
  }

  /** As `#find`, where only a stream that we have reset may still bring something. */
  #findForContent(streamId: number): Http2Stream | undefined {
    const stream = this.#find(streamId)
    if (stream !== undefined || this.#resets.has(streamId)) return stream
    // What was refused, or is older than we remember.
    const isForgotten = this.#resets.size >= MAX_REMEMBERED_RESETS
    if (isForgotten || streamId > (this.#lastStreamId ?? LAST_STREAM_ID)) return undefined
    throw new ConnectionFault('STREAM_CLOSED', `a frame on stream ${streamId}, which has ended`)
  }

  #decode(block: Buffer): HpackField[] | undefined {
    const fields = this.#fields
    fields.length = 0
    try {
      const listBytes = this.#decoder.decode(block, fields, MAX_HEADER_LIST_BYTES)
      return listBytes > MAX_HEADER_LIST_BYTES ? undefined : fields
    } catch (error) {
      if (!(error instanceof HpackError)) throw error
      throw new ConnectionFault('COMPRESSION_ERROR', error.message)
    }
  }

  #takeHead(stream: Http2Stream, fields: readonly HpackField[], endStream: boolean): void {
    const { head, contentLength } = this.#responseFields.read(fields)
    const { status } = head
    const { handler } = stream
    if (status < 200) {
      // §8.1: an interim response ends nothing.
      if (endStream) throw new StreamFault('PROTOCOL_ERROR', 'an interim response that ends')
      this.#budget.spend(COST.information, this.#now)
      stream.informationResponses++
      if (stream.informationResponses > MAX_INFORMATION_RESPONSES) {
        throw new StreamFault('ENHANCE_YOUR_CALM', 'too many interim responses')
      }
      handler.onInformation(head)
      return
    }
    this.#budget.earn(CREDIT.head)
    const isTunnel = handler.method === 'CONNECT' && status < 300
    const hasContent = handler.method !== 'HEAD' && status !== 204 && status !== 304
    stream.part = isTunnel ? 'tunnel' : 'content'
    if (isTunnel) stream.remainingBytes = undefined
    else stream.remainingBytes = hasContent ? contentLength : 0
    if (endStream && (stream.remainingBytes ?? 0) > 0) throw lengthMismatch()
    const length = isTunnel
      ? undefined
      : lengthOf({ method: handler.method, status, contentLength, endStream })
    handler.onHead(head, length)
    if (endStream) this.#endResponse(stream, HeaderFields.empty)
  }

  #takeTrailers(stream: Http2Stream, fields: readonly HpackField[], endStream: boolean): void {
    if (!stream.mayReceive) throw new StreamFault('STREAM_CLOSED', 'trailers after the end')
    // §8.1: what comes behind content ends the response.
    if (!endStream) throw new StreamFault('PROTOCOL_ERROR', 'a second head')
    const trailers = readTrailerFields(fields)
    this.#endResponse(stream, trailers)
  }

  /** END_STREAM has come. */
  #endResponse(stream: Http2Stream, trailers: HeaderFields): void {
    // Its handler may have given it up meanwhile.
    if (stream.state === 'closed') return
    // §8.1.1: content that is not as long as was said is malformed.
    if ((stream.remainingBytes ?? 0) > 0) {
      this.#fail(stream, lengthMismatch())
      return
    }
    stream.part = 'ended'
    const state = stream.step('receive-end')
    if (stream.sendingStopped) this.reset(stream, 'CANCEL')
    else if (state === 'closed') this.#forget(stream)
    stream.handler.onEnd(trailers)
  }

  #fail(stream: Http2Stream, fault: StreamFault): void {
    if (stream.state === 'closed') return
    this.reset(stream, fault.code)
    this.#tellEnd(stream, { type: 'fault', fault })
  }

  /** A stream is over early: its response, or, when that is whole, its request. */
  #tellEnd({ part, handler }: Http2Stream, failure: StreamFailure): void {
    if (part === 'ended') handler.onSendingRefused()
    else handler.onFailure(failure)
  }

  #forget(stream: Http2Stream): void {
    stream.step('reset')
    this.#streams.delete(stream.id)
    this.#growthBytes -= stream.windowTarget - FIRST_WINDOW_BYTES
    this.#scheduler.drop(stream)
    this.#events.onStreamOver(stream)
  }

  #remember({ id, receiveWindow }: Http2Stream): void {
    this.#resets.set(id, receiveWindow)
    if (this.#resets.size <= MAX_REMEMBERED_RESETS) return
    const [oldest] = this.#resets.keys()
    this.#resets.delete(oldest as number)
  }

  // ── Windows

  #countReceived(flowBytes: number): void {
    this.#receiveWindow -= flowBytes
    if (this.#receiveWindow < 0) {
      throw new ConnectionFault('FLOW_CONTROL_ERROR', 'more than the window of the connection')
    }
    if (this.#receiveWindow > CONNECTION_WINDOW_BYTES / 2) return
    this.#writer.windowUpdate(0, CONNECTION_WINDOW_BYTES - this.#receiveWindow)
    this.#receiveWindow = CONNECTION_WINDOW_BYTES
  }

  /** Doubles the window of a reader that keeps up. @returns by how much it is wider */
  #growWindow(stream: Http2Stream): number {
    const growth = Math.min(
      stream.windowTarget,
      MAX_WINDOW_BYTES - stream.windowTarget,
      MAX_GROWTH_BYTES - this.#growthBytes,
    )
    stream.windowTarget += growth
    this.#growthBytes += growth
    return growth
  }

  /** §6.9.2: a changed first window changes those of all streams, also to below 0. */
  #widenAll(bytes: number): void {
    for (const stream of this.#streams.values()) {
      stream.sendWindow += bytes
      if (stream.sendWindow > MAX_31_BITS) throw windowTooWide()
      this.#scheduler.schedule(stream)
    }
  }
}

function checkData(
  stream: Http2Stream,
  flowBytes: number,
  length: number,
): StreamFault | undefined {
  if (!stream.mayReceive) return new StreamFault('STREAM_CLOSED', 'content after the end')
  if (stream.part === 'head') return new StreamFault('PROTOCOL_ERROR', 'content before a head')
  stream.receiveWindow -= flowBytes
  if (stream.receiveWindow < 0) {
    return new StreamFault('FLOW_CONTROL_ERROR', 'more than the window of the stream')
  }
  if (stream.remainingBytes === undefined) return undefined
  stream.remainingBytes -= length
  return stream.remainingBytes < 0 ? lengthMismatch() : undefined
}

/** The length that a head tells of; HEAD gets that of another response (RFC 9110 §9.3.2). */
function lengthOf(response: {
  readonly method: string
  readonly status: number
  readonly contentLength: number | undefined
  readonly endStream: boolean
}): number | undefined {
  const { method, status, contentLength, endStream } = response
  if (status === 204 || status === 304) return 0
  if (contentLength !== undefined || method === 'HEAD') return contentLength
  return endStream ? 0 : undefined
}

function lengthMismatch(): StreamFault {
  return new StreamFault(
    'PROTOCOL_ERROR',
    'a malformed response: content that is not as long as content-length says',
  )
}

/**
 * Puts the content of requests into frames, as far as the peer's windows allow (RFC 9113 §5.2, §6.9).
 * Owns the window of the connection and the order of turns: one frame a stream, then the next stream.
 */
import type { HeaderFields } from '../semantics/header-fields.ts'
import { ConnectionFault } from './error-code.ts'
import type { FrameBudget } from './frame-budget.ts'
import { DEFAULT_WINDOW_BYTES, FRAME_HEADER_BYTES, MAX_31_BITS } from './frame-table.ts'
import type { FrameWriter } from './frame-writer.ts'
import type { HpackEncoder } from './hpack-encoder.ts'
import type { Http2Stream, QueuedContent } from './http2-stream.ts'
import { encodeTrailers } from './request-fields.ts'
import type { PeerSettings } from './settings.ts'

/** What a scheduler works with. */
export interface SendSchedulerOptions {
  readonly peer: PeerSettings
  readonly writer: FrameWriter
  readonly encoder: HpackEncoder
  readonly budget: FrameBudget
  /** The request of a stream is in frames to its end. */
  readonly onSent: (stream: Http2Stream) => void
}

// One stream's turn before the next has its own.
const MAX_DATA_FRAME_BYTES = 65_536
// Less room than this, in a block or in what may be under way, waits until there is more.
const MIN_DATA_FRAME_BYTES = 4096
// A peer may answer each KiB of content, and each frame, with updates of both windows.
const BYTES_PER_UPDATE = 256
const UPDATES_PER_FRAME = 3
const NO_BYTES = new Uint8Array(0)

/** The sending side of a session. */
export class SendScheduler {
  readonly #options: SendSchedulerOptions
  /** Streams with something to send and a window for it. */
  readonly #sending = new Set<Http2Stream>()
  #window = DEFAULT_WINDOW_BYTES

  constructor(options: SendSchedulerOptions) {
    this.#options = options
  }

  /** Whether something waits that could be sent now. */
  get isReady(): boolean {
    if (this.#sending.size === 0) return false
    if (this.#window > 0) return true
    for (const { queue } of this.#sending) if (queue.length === 0) return true
    return false
  }

  /**
   * The peer takes more on this connection.
   * @throws {ConnectionFault}
   */
  widen(increment: number): void {
    this.#window += increment
    if (this.#window > MAX_31_BITS) throw windowTooWide()
  }

  /** Takes note that a stream has something to send, or that its window has changed. */
  schedule(stream: Http2Stream): void {
    const isReady = stream.queue.length > 0 ? stream.sendWindow > 0 : stream.trailers !== undefined
    if (isReady) this.#sending.add(stream)
    else this.#sending.delete(stream)
  }

  /** Drops what waits on a stream. */
  drop(stream: Http2Stream): void {
    stream.trailers = undefined
    this.#sending.delete(stream)
    for (const { bytes, onTaken } of stream.queue.splice(0)) onTaken?.(bytes.length)
  }

  /** Puts up to so many bytes of content into frames, as long as they lie in one block of memory. */
  fill(maxBytes: number): void {
    let left = maxBytes
    let progressed = this.#sending.size > 0
    while (progressed) {
      progressed = false
      for (const stream of [...this.#sending]) {
        // What a stream calls when its bytes are taken may have ended another.
        if (!this.#sending.has(stream)) continue
        const sent = this.#sendFrame(stream, left)
        if (sent === undefined) continue
        left -= sent
        progressed = true
      }
    }
  }

  /** @returns bytes of content; undefined when this stream cannot send now */
  #sendFrame(stream: Http2Stream, maxBytes: number): number | undefined {
    const first = stream.queue[0]
    if (first === undefined) {
      this.#sendLast(stream, NO_BYTES)
      return 0
    }
    const length = this.#nextLength(stream, first, maxBytes)
    if (length <= 0) return undefined
    stream.sendWindow -= length
    this.#window -= length
    stream.handler.onContentFramed?.()
    // It may be answered with a PING, too.
    this.#options.budget.earn(1)
    this.#options.budget.earnUpdates(UPDATES_PER_FRAME + length / BYTES_PER_UPDATE)
    const isWhole = length === first.bytes.length
    const content = isWhole ? first.bytes : first.bytes.subarray(0, length)
    if (isWhole) stream.queue.shift()
    else first.bytes = first.bytes.subarray(length)
    if (isWhole && stream.queue.length === 0 && stream.trailers !== undefined) {
      this.#sendLast(stream, content)
    } else {
      this.#options.writer.data(stream.id, content, false)
      // Behind the others, whose turn is next.
      this.#sending.delete(stream)
      this.schedule(stream)
    }
    first.onTaken?.(length)
    return length
  }

  #nextLength(stream: Http2Stream, { bytes }: QueuedContent, maxBytes: number): number {
    const { writer, peer } = this.#options
    const room = Math.min(writer.room - FRAME_HEADER_BYTES, maxBytes)
    const length = Math.min(
      bytes.length,
      stream.sendWindow,
      this.#window,
      peer.maxFrameBytes,
      MAX_DATA_FRAME_BYTES,
    )
    if (length <= room) return length
    return room < MIN_DATA_FRAME_BYTES ? 0 : room
  }

  /** The last content, perhaps none, and the end: in the same frame, or in that of the trailers. */
  #sendLast(stream: Http2Stream, content: Uint8Array): void {
    const { writer, encoder, peer, onSent } = this.#options
    const trailers = stream.trailers as HeaderFields
    const hasTrailers = trailers.size > 0
    if (content.length > 0 || !hasTrailers) writer.data(stream.id, content, !hasTrailers)
    if (hasTrailers) {
      writer.headers(stream.id, encodeTrailers(encoder, trailers), {
        endStream: true,
        maxFrameBytes: peer.maxFrameBytes,
      })
    }
    stream.trailers = undefined
    this.#sending.delete(stream)
    stream.step('send-end')
    onSent(stream)
  }
}

export function windowTooWide(): ConnectionFault {
  return new ConnectionFault('FLOW_CONTROL_ERROR', 'a window beyond 2^31-1')
}

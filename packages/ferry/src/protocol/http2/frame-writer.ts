/**
 * Puts HTTP/2 frames into memory for the wire (RFC 9113 §4.1, §6). Frames of one turn lie one behind
 * the other, so that one write carries them all.
 *
 * Owns the memory: blocks that are filled from the front and never rewritten before whoever writes
 * them has given them back. Does not know whether a frame is in order.
 */
import { ErrorCode, type ErrorCodeName } from './error-code.ts'
import { Flag, FRAME_HEADER_BYTES, FrameType } from './frame-table.ts'

/** Frames for the wire. */
export interface FrameOutput {
  readonly bytes: Buffer
  /** Memory to give back by `recycle()` when the bytes are with the system; undefined for none. */
  readonly retired: Buffer | undefined
}

// What a connection needs that only asks.
const FIRST_BLOCK_BYTES = 16_384
// One write of content: two of the largest frames that we send, and small ones between them. Larger
// writes gain nothing.
const BLOCK_BYTES = 135_168
// What is left of a block for another round of frames; less is not worth a write.
const SMALLEST_REST_BYTES = 8192
const MAX_SPARE_BLOCKS = 4

/** Writes frames one behind the other. */
export class FrameWriter {
  #block: Buffer = Buffer.allocUnsafe(FIRST_BLOCK_BYTES)
  /** What lies between the two has not been taken. */
  #start = 0
  #end = 0
  readonly #spare: Buffer[] = []

  /** Bytes that wait to be taken. */
  get length(): number {
    return this.#end - this.#start
  }

  /** Bytes that fit behind what waits without moving it. */
  get room(): number {
    return this.#block.length - this.#end
  }

  /** The connection preface (§3.4); settings follow. */
  preface(): void {
    const text = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
    this.#reserve(text.length)
    this.#end += this.#block.write(text, this.#end, 'latin1')
  }

  settings(settings: readonly (readonly [id: number, value: number])[]): void {
    this.#header(settings.length * 6, FrameType.SETTINGS, 0, 0)
    for (const [id, value] of settings) {
      this.#end = this.#block.writeUInt16BE(id, this.#end)
      this.#end = this.#block.writeUInt32BE(value, this.#end)
    }
  }

  settingsAck(): void {
    this.#header(0, FrameType.SETTINGS, Flag.ACK, 0)
  }

  /** `opaque` is eight bytes, which are copied. */
  ping(opaque: Uint8Array, ack: boolean): void {
    this.#header(8, FrameType.PING, ack ? Flag.ACK : 0, 0)
    this.#copy(opaque, 0, 8)
  }

  /** We take no streams of the peer's, so the last of them is always 0. */
  goAway(code: ErrorCodeName): void {
    this.#header(8, FrameType.GOAWAY, 0, 0)
    this.#end = this.#block.writeUInt32BE(0, this.#end)
    this.#end = this.#block.writeUInt32BE(ErrorCode[code], this.#end)
  }

  rstStream(streamId: number, code: ErrorCodeName): void {
    this.#header(4, FrameType.RST_STREAM, 0, streamId)
    this.#end = this.#block.writeUInt32BE(ErrorCode[code], this.#end)
  }

  windowUpdate(streamId: number, increment: number): void {
    this.#header(4, FrameType.WINDOW_UPDATE, 0, streamId)
    this.#end = this.#block.writeUInt32BE(increment, this.#end)
  }

  /** A header block, in as many frames as it takes (§6.2, §6.10); it is copied. */
  headers(
    streamId: number,
    block: Uint8Array,
    { endStream, maxFrameBytes }: { readonly endStream: boolean; readonly maxFrameBytes: number },
  ): void {
    const first = Math.min(block.length, maxFrameBytes)
    const flags =
      (endStream ? Flag.END_STREAM : 0) | (first === block.length ? Flag.END_HEADERS : 0)
    this.#header(first, FrameType.HEADERS, flags, streamId)
    this.#copy(block, 0, first)
    for (let at = first; at < block.length; at += maxFrameBytes) {
      const end = Math.min(at + maxFrameBytes, block.length)
      const isLast = end === block.length
      this.#header(end - at, FrameType.CONTINUATION, isLast ? Flag.END_HEADERS : 0, streamId)
      this.#copy(block, at, end)
    }
  }

  /** Content, which is copied. */
  data(streamId: number, content: Uint8Array, endStream: boolean): void {
    this.#header(content.length, FrameType.DATA, endStream ? Flag.END_STREAM : 0, streamId)
    this.#copy(content, 0, content.length)
  }

  /** Gives what waits, undefined when nothing does. */
  take(): FrameOutput | undefined {
    if (this.#end === this.#start) return undefined
    const block = this.#block
    const bytes = block.subarray(this.#start, this.#end)
    this.#start = this.#end
    if (block.length - this.#end >= SMALLEST_REST_BYTES) return { bytes, retired: undefined }
    this.#useBlock(this.#spare.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES))
    return { bytes, retired: block }
  }

  /** Takes memory back whose bytes, all of them, are with the system. */
  recycle(block: Buffer): void {
    if (block.length === BLOCK_BYTES && this.#spare.length < MAX_SPARE_BLOCKS) {
      this.#spare.push(block)
    }
  }

  /** Lets go of memory that only large content needs; what waits stays. */
  shrink(): void {
    this.#spare.length = 0
    if (this.length === 0 && this.#block.length > FIRST_BLOCK_BYTES) {
      this.#useBlock(Buffer.allocUnsafe(FIRST_BLOCK_BYTES))
    }
  }

  #header(length: number, type: number, flags: number, streamId: number): void {
    this.#reserve(FRAME_HEADER_BYTES + length)
    const block = this.#block
    const at = this.#end
    block[at] = length >>> 16
    block[at + 1] = length >>> 8
    block[at + 2] = length
    block[at + 3] = type
    block[at + 4] = flags
    block[at + 5] = streamId >>> 24
    block[at + 6] = streamId >>> 16
    block[at + 7] = streamId >>> 8
    block[at + 8] = streamId
    this.#end = at + FRAME_HEADER_BYTES
  }

  #copy(bytes: Uint8Array, start: number, end: number): void {
    this.#block.set(
      start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end),
      this.#end,
    )
    this.#end += end - start
  }

  /** Makes room; what waits is moved when its block is too small. */
  #reserve(length: number): void {
    if (this.#block.length - this.#end >= length) return
    const waiting = this.#block.subarray(this.#start, this.#end)
    const needed = waiting.length + length
    const size = needed <= BLOCK_BYTES / 2 ? BLOCK_BYTES : needed + BLOCK_BYTES
    this.#useBlock(
      size === BLOCK_BYTES
        ? (this.#spare.pop() ?? Buffer.allocUnsafeSlow(size))
        : Buffer.allocUnsafeSlow(size),
    )
    this.#block.set(waiting, 0)
    this.#end = waiting.length
  }

  #useBlock(block: Buffer): void {
    this.#block = block
    this.#start = 0
    this.#end = 0
  }
}

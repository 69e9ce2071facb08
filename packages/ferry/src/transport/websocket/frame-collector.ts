/**
 * Puts the bytes of a stream into memory that a reader of frames may keep.
 *
 * Short frames are copied as they come. The payload of a long one is put together in memory of its
 * own, into which the stream may read directly: so it is copied once or never, however many pieces it
 * comes in; a message that is kept does not hold its neighbours; and a peer that sends byte by byte
 * cannot make us keep a million pieces. Knows of
 * frames only how long they are (RFC 6455 §5.2); whether they are right is for the reader to say.
 */

/** What is missing of a payload, from which on it gets memory of its own. */
const MIN_LANDING_BYTES = 8192
// A payload gets so much at a time: its length is only what a peer claims.
const MAX_LANDING_BYTES = 131_072
const MASK_BYTES = 4
const NOTHING = Buffer.alloc(0)

/** Collects what comes and gives it on, in order. */
export class FrameCollector {
  readonly #give: (chunk: Buffer) => void
  readonly #header = Buffer.alloc(10)
  #headerBytes = 0
  /** How much of the frame that has begun is still to come, its header aside. */
  #missing = 0
  #landing: Buffer | undefined
  #landed = 0

  /** `give` gets memory that is never used again. */
  constructor(give: (chunk: Buffer) => void) {
    this.#give = give
  }

  /** Takes bytes, which are copied unless they lie in `nextBuffer()` already. */
  take(bytes: Buffer): void {
    let rest = bytes
    while (rest.length > 0) {
      rest = this.#landing === undefined ? this.#pass(rest) : this.#land(this.#landing, rest)
    }
  }

  /** Where the next bytes had best come to lie; undefined for anywhere. */
  nextBuffer(): Buffer | undefined {
    return this.#landing?.subarray(this.#landed)
  }

  /** Gives on what comes before the next long payload. */
  #pass(bytes: Buffer): Buffer {
    let at = 0
    while (at < bytes.length && this.#missing < MIN_LANDING_BYTES) {
      const skipped = Math.min(this.#missing, bytes.length - at)
      this.#missing -= skipped
      at += skipped
      if (at < bytes.length) this.#addToHeader(bytes[at++] as number)
    }
    const isAll = at === bytes.length
    this.#give(Buffer.from(isAll ? bytes : bytes.subarray(0, at)))
    this.#prepareLanding()
    return isAll ? NOTHING : bytes.subarray(at)
  }

  #land(landing: Buffer, bytes: Buffer): Buffer {
    const count = Math.min(landing.length - this.#landed, bytes.length)
    const isInPlace =
      bytes.buffer === landing.buffer && bytes.byteOffset === landing.byteOffset + this.#landed
    if (!isInPlace) landing.set(bytes.subarray(0, count), this.#landed)
    this.#landed += count
    this.#missing -= count
    if (this.#landed === landing.length) {
      this.#landing = undefined
      this.#give(landing)
      this.#prepareLanding()
    }
    return bytes.subarray(count)
  }

  #prepareLanding(): void {
    if (this.#missing < MIN_LANDING_BYTES) return
    // Memory of a pool could be that of the bytes that come.
    this.#landing = Buffer.allocUnsafeSlow(Math.min(this.#missing, MAX_LANDING_BYTES))
    this.#landed = 0
  }

  #addToHeader(byte: number): void {
    this.#header[this.#headerBytes++] = byte
    if (this.#headerBytes < 2) return
    const second = this.#header[1] as number
    const short = second & 0x7f
    const length = short === 127 ? 10 : short === 126 ? 4 : 2
    if (this.#headerBytes < length) return
    this.#headerBytes = 0
    const mask = (second & 0x80) === 0 ? 0 : MASK_BYTES
    this.#missing = mask + payloadLength(this.#header, short)
  }
}

function payloadLength(header: Buffer, short: number): number {
  if (short < 126) return short
  if (short === 126) return header.readUInt16BE(2)
  // Beyond 2^53 no reader goes on.
  return header.readUInt32BE(2) * 2 ** 32 + header.readUInt32BE(6)
}

/**
 * Reads the control file that aria2 keeps beside an unfinished download, `NAME.aria2`: which bytes of
 * the file are there already. Pure.
 *
 * The format is that of aria2's technical notes: all numbers in network byte order since version 1,
 * in the order of the machine in version 0, which is taken for little-endian. It names neither URL
 * nor validator, so that what is there has to be compared with what the server has. Strict: bytes that
 * are not there would otherwise go for good.
 */
import { ConfigError } from '../../errors.ts'
import type { Span } from '../../transfer/span.ts'

/** What aria2 has of a file. */
export interface Aria2Progress {
  /** Bytes of the whole file. */
  readonly size: number
  readonly pieceLengthBytes: number
  /** The bytes that are there: sorted, apart from each other, none empty. */
  readonly spans: readonly Span[]
}

/** aria2 writes down what it has of a piece in blocks of this length. */
const BLOCK_BYTES = 16_384
/** A bit in the last byte of the extension field: the file belongs to a torrent. */
const TORRENT = 1

/** @throws {ConfigError} option `aria2-control`, when the bytes are no such file, or of a torrent */
export function decodeAria2Control(bytes: Uint8Array): Aria2Progress {
  const reader = new FieldReader(bytes)
  const version = reader.uint16()
  if (version > 1) throw unreadable(`expected version 0 or 1, got ${version}`)
  reader.littleEndian = version === 0
  // Bytes, not a number: the same in both orders.
  const extension = reader.bytes(4)
  const infoHashLength = reader.uint32()
  if (((extension[3] as number) & TORRENT) !== 0 || infoHashLength > 0) {
    throw unreadable('it is that of a torrent')
  }
  const pieceLengthBytes = reader.uint32()
  const size = reader.uint64()
  // Bytes given to others, as torrents do.
  reader.uint64()
  if (pieceLengthBytes === 0) throw unreadable('its pieces have no length')
  const pieces = Math.ceil(size / pieceLengthBytes)
  const done = reader.bits(pieces)
  const begun = readBegunPieces(reader, { size, pieceLengthBytes, pieces })
  reader.end()
  return { size, pieceLengthBytes, spans: collectSpans({ size, pieceLengthBytes, done, begun }) }
}

/** Tells of a piece or block, by its index, whether it is there. */
type Bits = (index: number) => boolean

/** Blocks of pieces that are not whole yet, by the index of the piece. */
function readBegunPieces(
  reader: FieldReader,
  file: { readonly size: number; readonly pieceLengthBytes: number; readonly pieces: number },
): Map<number, Bits> {
  const begun = new Map<number, Bits>()
  for (let left = reader.uint32(); left > 0; left--) {
    const index = reader.uint32()
    if (index >= file.pieces || begun.has(index)) throw unreadable(`piece ${index} is out of place`)
    const expected = lengthAt(index, file.pieceLengthBytes, file.size)
    const length = reader.uint32()
    if (length !== expected) {
      throw unreadable(`piece ${index}: expected ${expected} bytes, got ${length}`)
    }
    begun.set(index, reader.bits(Math.ceil(length / BLOCK_BYTES)))
  }
  return begun
}

function collectSpans(file: {
  readonly size: number
  readonly pieceLengthBytes: number
  readonly done: Bits
  readonly begun: ReadonlyMap<number, Bits>
}): Span[] {
  const { size, pieceLengthBytes, done, begun } = file
  const spans: Span[] = []
  const add = (start: number, length: number): void => {
    const last = spans.at(-1)
    const joined = last?.end === start
    if (joined) spans.pop()
    spans.push({ start: joined ? last.start : start, end: start + length })
  }
  for (let index = 0, start = 0; start < size; index++, start += pieceLengthBytes) {
    const length = lengthAt(index, pieceLengthBytes, size)
    const blocks = begun.get(index)
    if (done(index)) add(start, length)
    else if (blocks !== undefined) {
      for (let block = 0; block * BLOCK_BYTES < length; block++) {
        if (blocks(block)) add(start + block * BLOCK_BYTES, lengthAt(block, BLOCK_BYTES, length))
      }
    }
  }
  return spans
}

/** How long the n-th part of something is, when all but the last are as long. */
function lengthAt(index: number, partLength: number, wholeLength: number): number {
  return Math.min(partLength, wholeLength - index * partLength)
}

class FieldReader {
  littleEndian = false
  readonly #view: DataView
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  uint16(): number {
    return this.#view.getUint16(this.#take(2), this.littleEndian)
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4), this.littleEndian)
  }

  uint64(): number {
    const value = Number(this.#view.getBigUint64(this.#take(8), this.littleEndian))
    if (Number.isSafeInteger(value)) return value
    throw unreadable('a length is beyond what a file can have')
  }

  bytes(length: number): Uint8Array {
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + this.#take(length), length)
  }

  /** A bit field with its length before it: one bit each, the first is the highest of its byte. */
  bits(count: number): Bits {
    const length = this.uint32()
    const expected = Math.ceil(count / 8)
    if (length !== expected) {
      throw unreadable(`expected ${expected} bytes for ${count} bits, got ${length}`)
    }
    const start = this.#take(length)
    const bit: Bits = (index) =>
      (this.#view.getUint8(start + (index >> 3)) & (0x80 >> (index & 7))) !== 0
    for (let index = count; index < length * 8; index++) {
      if (bit(index)) throw unreadable('a bit is set behind the last piece')
    }
    return bit
  }

  end(): void {
    const left = this.#view.byteLength - this.#offset
    if (left > 0) throw unreadable(`expected its end, got ${left} bytes more`)
  }

  /** Where the next bytes begin. */
  #take(length: number): number {
    const start = this.#offset
    this.#offset += length
    if (this.#offset > this.#view.byteLength) throw unreadable('it ends too early')
    return start
  }
}

function unreadable(why: string): ConfigError {
  return new ConfigError('aria2-control', `Cannot read the control file of aria2: ${why}`)
}

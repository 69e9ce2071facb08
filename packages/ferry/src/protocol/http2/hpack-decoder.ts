/**
 * Decodes header blocks of HPACK (RFC 7541): bytes in, fields out. Owns the dynamic table that the
 * peer's encoder fills; whether a field may stand in a message is for others to say.
 *
 * Work and memory are linear in the bytes of a block: an index costs no copy of what it names, and
 * what a list has beyond its limit is counted, not kept.
 */
import { HpackError } from './hpack-error.ts'
import { FIELD_OVERHEAD_BYTES, HpackField } from './hpack-field.ts'
import { decodeHuffman } from './hpack-huffman.ts'
import { STATIC_TABLE } from './hpack-static-table.ts'
import { HpackTable } from './hpack-table.ts'

// RFC 9113 §6.5.2: the size of the table until a setting changes it.
const DEFAULT_TABLE_BYTES = 4096
// RFC 7541 §4.2: the smallest size in between, and the last.
const MAX_SIZE_UPDATES = 2
// Seven bits each (RFC 7541 §5.1): more than 268 million is no index, and no length that could be held.
const MAX_INTEGER_BYTES = 4
// Dates, types, names of servers and validators are shorter; comparing longer ones gains little.
const MAX_RECENT_BYTES = 64
const FIRST_DYNAMIC_INDEX = STATIC_TABLE.length + 1
// A string of 10 KiB decodes into it; longer ones, which are rare, get memory of their own.
const scratch = Buffer.allocUnsafeSlow(16_384)

/** Decodes the header blocks of one connection, all of them, in their order. */
export class HpackDecoder {
  readonly #table = new HpackTable()
  readonly #maxTableBytes: number
  /** The bound that the peer has set, which may be below ours. */
  #tableLimitBytes = DEFAULT_TABLE_BYTES
  /** The last value of each name of the static table, by its index. */
  readonly #recent: (RecentLiteral | undefined)[] = []
  /** The next byte of the block to be read. */
  #position = 0
  /** Whether the string that was begun last is in Huffman code. */
  #huffman = false

  /**
   * @param options.maxTableBytes what we tell the peer in SETTINGS_HEADER_TABLE_SIZE; with less than
   * 4096 the peer's first block has to begin with a size update, since it follows our settings
   */
  constructor(options: { readonly maxTableBytes?: number } = {}) {
    this.#maxTableBytes = options.maxTableBytes ?? DEFAULT_TABLE_BYTES
  }

  /** The bytes of the dynamic table, as RFC 7541 §4.1 counts them. */
  get tableBytes(): number {
    return this.#table.bytes
  }

  get tableLength(): number {
    return this.#table.length
  }

  /**
   * Decodes one whole header block. Fields go to `into` as long as they are at most `maxListBytes`
   * together, and none after the first that is too much; the rest is decoded for the table's sake.
   * @returns the size of the whole list in bytes, as RFC 9113 §6.5.2 counts it
   * @throws {HpackError} when the block is malformed; the decoder is of no use then
   */
  decode(block: Buffer, into: HpackField[], maxListBytes: number): number {
    this.#position = 0
    this.#readSizeUpdates(block)
    let listBytes = 0
    while (this.#position < block.length) {
      const byte = block[this.#position++] as number
      if (byte >= 0x80) {
        // Indexed (RFC 7541 §6.1).
        const field = this.#fieldAt(this.#readInteger(block, byte, 0x7f))
        listBytes += field.sizeBytes
        if (listBytes <= maxListBytes) into.push(field)
      } else if (byte >= 0x40 || listBytes <= maxListBytes) {
        const field = this.#readLiteral(block, byte)
        listBytes += field.sizeBytes
        if (listBytes <= maxListBytes) into.push(field)
      } else {
        listBytes += this.#skipLiteral(block, byte)
      }
    }
    return listBytes
  }

  /** RFC 7541 §6.3, and §4.2 for where they stand and how many. */
  #readSizeUpdates(block: Buffer): void {
    for (let updates = 0; isSizeUpdate(block[this.#position]); updates++) {
      if (updates === MAX_SIZE_UPDATES) throw malformed('more than two size updates')
      const bytes = this.#readInteger(block, block[this.#position++] as number, 0x1f)
      if (bytes > this.#maxTableBytes) {
        throw malformed(`a size update to ${bytes} bytes, ${this.#maxTableBytes} are allowed`)
      }
      this.#tableLimitBytes = bytes
      this.#makeRoom(0)
    }
    // RFC 9113 §4.3.1: a peer that was told of less has to begin its next block with an update.
    if (this.#tableLimitBytes > this.#maxTableBytes) throw malformed('a size update is missing')
  }

  /** A literal field: indexed, not indexed or never indexed (RFC 7541 §6.2). */
  #readLiteral(block: Buffer, byte: number): HpackField {
    const entersTable = byte >= 0x40
    const index = this.#readNameIndex(block, byte)
    const field =
      index > 0 && index < FIRST_DYNAMIC_INDEX
        ? this.#readKnownName(block, index)
        : this.#readField(block, index)
    if (entersTable) {
      this.#makeRoom(field.sizeBytes)
      // §4.4: an entry that is larger than the table only empties it.
      if (field.sizeBytes <= this.#tableLimitBytes) this.#table.insert(field)
    }
    return field
  }

  #readField(block: Buffer, index: number): HpackField {
    const name = index === 0 ? this.#readString(block) : this.#fieldAt(index).name
    return new HpackField(name, this.#readString(block))
  }

  /**
   * Reads the value of a name out of the static table. Servers that do not use the dynamic table send
   * the same few values again and again: the same bytes as the last time are the same field.
   */
  #readKnownName(block: Buffer, index: number): HpackField {
    const recent = this.#recent[index]
    const start = this.#position
    if (recent !== undefined && startsWith(block, start, recent.bytes)) {
      this.#position = start + recent.bytes.length
      return recent.field
    }
    const field = this.#readField(block, index)
    const length = this.#position - start
    if (length <= MAX_RECENT_BYTES) {
      const bytes = Buffer.from(block.subarray(start, this.#position))
      this.#recent[index] = { bytes, field }
    }
    return field
  }

  /**
   * Reads a literal that nobody wants, without building its strings.
   * @returns its size in bytes
   */
  #skipLiteral(block: Buffer, byte: number): number {
    const index = this.#readNameIndex(block, byte)
    const nameBytes = index === 0 ? this.#skipString(block) : this.#fieldAt(index).name.length
    return nameBytes + this.#skipString(block) + FIELD_OVERHEAD_BYTES
  }

  #readNameIndex(block: Buffer, byte: number): number {
    if (byte >= 0x40) return this.#readInteger(block, byte, 0x3f)
    if (byte < 0x20) return this.#readInteger(block, byte, 0x0f)
    // §4.2: "This dynamic table size update MUST occur at the beginning of the first header block"
    throw malformed('a size update behind a field')
  }

  /** RFC 7541 §2.3.3. */
  #fieldAt(index: number): HpackField {
    const field =
      index < FIRST_DYNAMIC_INDEX
        ? STATIC_TABLE[index - 1]
        : this.#table.at(index - FIRST_DYNAMIC_INDEX)
    if (field === undefined) throw malformed(`no field has index ${index}`)
    return field
  }

  /** Evicts until a field of so many bytes fits, or none is left (RFC 7541 §4.3, §4.4). */
  #makeRoom(bytes: number): void {
    const table = this.#table
    while (table.length > 0 && table.bytes + bytes > this.#tableLimitBytes) table.evict()
  }

  /** RFC 7541 §5.2. */
  #readString(block: Buffer): string {
    const start = this.#startString(block)
    const end = this.#position
    if (!this.#huffman) return block.toString('latin1', start, end)
    const room = roomFor(end - start)
    return room.toString('latin1', 0, decodeHuffman(block, start, end, room))
  }

  /** @returns how long the string would be */
  #skipString(block: Buffer): number {
    const start = this.#startString(block)
    const end = this.#position
    return this.#huffman ? decodeHuffman(block, start, end, roomFor(end - start)) : end - start
  }

  /**
   * Reads what stands before a string, and moves behind the string.
   * @returns where it starts
   */
  #startString(block: Buffer): number {
    if (this.#position === block.length) throw truncated()
    const byte = block[this.#position++] as number
    this.#huffman = byte >= 0x80
    const length = this.#readInteger(block, byte, 0x7f)
    const start = this.#position
    if (length > block.length - start) throw truncated()
    this.#position = start + length
    return start
  }

  /** RFC 7541 §5.1; `prefix` is the largest number that the prefix can hold. */
  #readInteger(block: Buffer, first: number, prefix: number): number {
    const value = first & prefix
    return value < prefix ? value : this.#readLongInteger(block, prefix)
  }

  #readLongInteger(block: Buffer, prefix: number): number {
    let value = prefix
    for (let shift = 0; shift < 7 * MAX_INTEGER_BYTES; shift += 7) {
      if (this.#position === block.length) throw truncated()
      const byte = block[this.#position++] as number
      value += (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw malformed(`an integer of more than ${MAX_INTEGER_BYTES} bytes behind its prefix`)
  }
}

/** A value as it came, and what it was. */
interface RecentLiteral {
  /** With the length before it. */
  readonly bytes: Buffer
  readonly field: HpackField
}

function startsWith(block: Buffer, at: number, bytes: Buffer): boolean {
  if (bytes.length > block.length - at) return false
  for (let index = 0; index < bytes.length; index++) {
    if (block[at + index] !== bytes[index]) return false
  }
  return true
}

function isSizeUpdate(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x20 && byte < 0x40
}

/** Memory for what so many bytes of Huffman code can hold, and one more; a code has 5 bits or more. */
function roomFor(length: number): Buffer {
  const bytes = Math.ceil((length * 8) / 5) + 1
  return bytes <= scratch.length ? scratch : Buffer.allocUnsafeSlow(bytes)
}

function truncated(): HpackError {
  return malformed('it ends in the middle of a field')
}

function malformed(why: string): HpackError {
  return new HpackError(`Cannot decode a header block: ${why}`)
}

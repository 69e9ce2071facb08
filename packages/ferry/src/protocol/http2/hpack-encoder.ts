/**
 * Encodes header lists in HPACK (RFC 7541): fields in, bytes out. Owns the dynamic table that the
 * peer's decoder follows, and the choice of what enters it.
 *
 * A field that stands in a table is an index of a byte or two; that is found by two looks, by name and
 * by value, into maps that hold exactly what the tables hold.
 */
import { FIELD_OVERHEAD_BYTES, HpackField } from './hpack-field.ts'
import { huffmanLength, writeHuffman } from './hpack-huffman.ts'
import { STATIC_TABLE } from './hpack-static-table.ts'
import { HpackTable } from './hpack-table.ts'

/** How a field is written that stands in no table (RFC 7541 §6.2). */
type Literal =
  /** Enters the table. */
  | 'indexed'
  | 'not-indexed'
  /** Nor may anybody on the way put it into a table: a secret that could be guessed (§7.1.3). */
  | 'never-indexed'
  /** A secret while it is short, as nghttp2 does with cookies: a long one cannot be guessed. */
  | 'never-indexed-if-short'

/** What is known of a name that stands in a table. */
interface KnownName {
  /** 0 when the static table does not have it. */
  readonly staticIndex: number
  readonly literal: Literal
  /** By value: the number of an insertion, or the negative of an index of the static table. */
  readonly places: Map<string, number>
  /** The number of the newest insertion with this name, of use only when the static table lacks it. */
  newest: number
}

// RFC 9113 §6.5.2. More would cost memory on both sides and save little.
const MAX_TABLE_BYTES = 4096
const SHORT_SECRET_BYTES = 20
const FIRST_DYNAMIC_INDEX = STATIC_TABLE.length + 1
const INITIAL_BLOCK_BYTES = 1024
// A block larger than this is not kept for the next one.
const MAX_KEPT_BLOCK_BYTES = 16_384
// Of one field: an index, and two lengths of up to 5 bytes each. Size updates need less.
const MAX_INTEGERS_BYTES = 16

// Fields that are secret, or another with every message: they would only push others out.
const LITERALS: ReadonlyMap<string, Literal> = new Map<string, Literal>([
  ['authorization', 'never-indexed'],
  ['proxy-authorization', 'never-indexed'],
  ['cookie', 'never-indexed-if-short'],
  [':path', 'not-indexed'],
  ['age', 'not-indexed'],
  ['content-length', 'not-indexed'],
  ['content-range', 'not-indexed'],
  ['etag', 'not-indexed'],
  ['if-match', 'not-indexed'],
  ['if-modified-since', 'not-indexed'],
  ['if-none-match', 'not-indexed'],
  ['if-unmodified-since', 'not-indexed'],
  ['last-modified', 'not-indexed'],
  ['location', 'not-indexed'],
  ['range', 'not-indexed'],
  ['set-cookie', 'not-indexed'],
])

// The static table by name: the first index, and the values of all.
const STATIC_NAMES = new Map<string, { index: number; places: (readonly [string, number])[] }>()
for (const [position, { name, value }] of STATIC_TABLE.entries()) {
  const known = STATIC_NAMES.get(name) ?? { index: position + 1, places: [] }
  known.places.push([value, -(position + 1)])
  STATIC_NAMES.set(name, known)
}

/** Encodes the header blocks of one connection, all of them, in their order. */
export class HpackEncoder {
  readonly #table = new HpackTable()
  /** The names in the tables; those of the static table once they have been used. */
  readonly #names = new Map<string, KnownName>()
  #block = Buffer.allocUnsafeSlow(INITIAL_BLOCK_BYTES)
  #position = 0
  /** The bound in force, the one wanted from the next block on, and the smallest wanted in between. */
  #tableLimitBytes = MAX_TABLE_BYTES
  #nextLimitBytes = MAX_TABLE_BYTES
  #smallestLimitBytes = MAX_TABLE_BYTES

  /** The bytes of the dynamic table, as RFC 7541 §4.1 counts them. */
  get tableBytes(): number {
    return this.#table.bytes
  }

  get tableLength(): number {
    return this.#table.length
  }

  /** Takes the peer's SETTINGS_HEADER_TABLE_SIZE, of which we use 4096 at most, for the next block. */
  setMaxTableBytes(bytes: number): void {
    this.#nextLimitBytes = Math.min(bytes, MAX_TABLE_BYTES)
    this.#smallestLimitBytes = Math.min(this.#smallestLimitBytes, this.#nextLimitBytes)
  }

  /** Starts a block; the one before it is overwritten. */
  begin(): void {
    this.#position = 0
    if (this.#block.length > MAX_KEPT_BLOCK_BYTES) {
      this.#block = Buffer.allocUnsafeSlow(INITIAL_BLOCK_BYTES)
    }
    // RFC 7541 §4.2: the smallest size in between is told too, for what it evicts.
    if (this.#smallestLimitBytes < this.#tableLimitBytes) this.#limit(this.#smallestLimitBytes)
    if (this.#nextLimitBytes !== this.#tableLimitBytes) this.#limit(this.#nextLimitBytes)
    this.#smallestLimitBytes = this.#tableLimitBytes
  }

  /** Adds a field; its name is in lower case, and each char of both texts stands for a byte. */
  add(name: string, value: string): void {
    this.#reserve(name.length + value.length + MAX_INTEGERS_BYTES)
    const known = this.#names.get(name) ?? this.#learnStatic(name)
    const place = known?.places.get(value)
    if (place === undefined) {
      this.#addLiteral(name, value, known)
    } else {
      // RFC 7541 §6.1
      this.#writeInteger(0x80, 0x7f, place < 0 ? -place : this.#indexOf(place))
    }
  }

  /** @returns the block, a view that is good until the next `begin()` */
  end(): Buffer {
    return this.#block.subarray(0, this.#position)
  }

  /** RFC 7541 §6.3. */
  #limit(bytes: number): void {
    this.#writeInteger(0x20, 0x1f, bytes)
    this.#tableLimitBytes = bytes
    this.#makeRoom(0)
  }

  /** RFC 7541 §6.2. */
  #addLiteral(name: string, value: string, known: KnownName | undefined): void {
    const literal = this.#decideLiteral(name, value, known)
    const index = known === undefined ? 0 : this.#nameIndexOf(known)
    if (literal === 'indexed') this.#writeInteger(0x40, 0x3f, index)
    else this.#writeInteger(literal === 'never-indexed' ? 0x10 : 0x00, 0x0f, index)
    if (index === 0) this.#writeString(name)
    this.#writeString(value)
    if (literal === 'indexed') this.#insert(name, value)
  }

  #decideLiteral(
    name: string,
    value: string,
    known: KnownName | undefined,
  ): Exclude<Literal, 'never-indexed-if-short'> {
    let literal = known === undefined ? literalOf(name) : known.literal
    if (literal === 'never-indexed-if-short') {
      literal = value.length < SHORT_SECRET_BYTES ? 'never-indexed' : 'indexed'
    }
    if (literal !== 'indexed') return literal
    // One that takes most of the table would push out all that is of use.
    const sizeBytes = name.length + value.length + FIELD_OVERHEAD_BYTES
    return sizeBytes * 4 > this.#tableLimitBytes * 3 ? 'not-indexed' : 'indexed'
  }

  #nameIndexOf(known: KnownName): number {
    return known.staticIndex > 0 ? known.staticIndex : this.#indexOf(known.newest)
  }

  /** The index that an insertion has by now (RFC 7541 §2.3.3). */
  #indexOf(insertion: number): number {
    return FIRST_DYNAMIC_INDEX + this.#table.inserted - insertion
  }

  #insert(name: string, value: string): void {
    const field = new HpackField(name, value)
    this.#makeRoom(field.sizeBytes)
    this.#table.insert(field)
    let known = this.#names.get(name)
    if (known === undefined) {
      known = { staticIndex: 0, literal: literalOf(name), places: new Map(), newest: 0 }
      this.#names.set(name, known)
    }
    known.newest = this.#table.inserted
    known.places.set(value, known.newest)
  }

  /** Evicts until a field of so many bytes fits, and forgets what has gone (RFC 7541 §4.3, §4.4). */
  #makeRoom(bytes: number): void {
    const table = this.#table
    while (table.length > 0 && table.bytes + bytes > this.#tableLimitBytes) {
      const { name, value } = table.evict()
      const known = this.#names.get(name) as KnownName
      known.places.delete(value)
      if (known.places.size === 0) this.#names.delete(name)
    }
  }

  #learnStatic(name: string): KnownName | undefined {
    const known = STATIC_NAMES.get(name)
    if (known === undefined) return undefined
    const learned: KnownName = {
      staticIndex: known.index,
      literal: literalOf(name),
      places: new Map(known.places),
      newest: 0,
    }
    this.#names.set(name, learned)
    return learned
  }

  /** RFC 7541 §5.2; in Huffman code when that is shorter. */
  #writeString(text: string): void {
    const length = huffmanLength(text)
    if (length < text.length) {
      this.#writeInteger(0x80, 0x7f, length)
      this.#position = writeHuffman(text, this.#block, this.#position)
      return
    }
    this.#writeInteger(0x00, 0x7f, text.length)
    this.#position += this.#block.write(text, this.#position, 'latin1')
  }

  /** RFC 7541 §5.1; `prefix` is the largest number that the prefix can hold. */
  #writeInteger(pattern: number, prefix: number, value: number): void {
    const block = this.#block
    if (value < prefix) {
      block[this.#position++] = pattern | value
      return
    }
    block[this.#position++] = pattern | prefix
    let rest = value - prefix
    for (; rest >= 0x80; rest >>>= 7) block[this.#position++] = (rest & 0x7f) | 0x80
    block[this.#position++] = rest
  }

  /** Makes sure of so many bytes behind the position. */
  #reserve(bytes: number): void {
    const needed = this.#position + bytes
    if (needed <= this.#block.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#block.length))
    this.#block.copy(grown, 0, 0, this.#position)
    this.#block = grown
  }
}

function literalOf(name: string): Literal {
  return LITERALS.get(name) ?? 'indexed'
}

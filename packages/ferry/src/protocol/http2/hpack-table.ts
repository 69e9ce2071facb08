/**
 * The dynamic table of HPACK (RFC 7541 §2.3.2, §4): a ring of fields, the oldest of which leaves first.
 * Owns order and bytes; the bound is its owner's, who makes room before it inserts.
 */
import type { HpackField } from './hpack-field.ts'

// Enough for 4,096 bytes, the usual bound, of the shortest entries.
const INITIAL_SLOTS = 128

/** Fields by their age. */
export class HpackTable {
  /** A power of two long. */
  #slots = emptySlots(INITIAL_SLOTS)
  #inserted = 0
  #length = 0
  #bytes = 0

  /** How many fields were ever inserted: the number of the newest, the first having number 1. */
  get inserted(): number {
    return this.#inserted
  }

  get length(): number {
    return this.#length
  }

  /** The sizes of all fields together (RFC 7541 §4.1). */
  get bytes(): number {
    return this.#bytes
  }

  /** The field that `age` younger ones stand before; undefined when there is none. */
  at(age: number): HpackField | undefined {
    if (age >= this.#length) return undefined
    return this.#slots[(this.#inserted - age) & (this.#slots.length - 1)]
  }

  insert(field: HpackField): void {
    if (this.#length === this.#slots.length) this.#grow()
    this.#inserted++
    this.#slots[this.#inserted & (this.#slots.length - 1)] = field
    this.#length++
    this.#bytes += field.sizeBytes
  }

  /** Takes out the oldest; the table is not empty. */
  evict(): HpackField {
    const slot = (this.#inserted - this.#length + 1) & (this.#slots.length - 1)
    const field = this.#slots[slot] as HpackField
    this.#slots[slot] = undefined
    this.#length--
    this.#bytes -= field.sizeBytes
    return field
  }

  #grow(): void {
    const slots = emptySlots(2 * this.#slots.length)
    for (let age = 0; age < this.#length; age++) {
      slots[(this.#inserted - age) & (slots.length - 1)] = this.at(age)
    }
    this.#slots = slots
  }
}

function emptySlots(count: number): (HpackField | undefined)[] {
  return Array.from({ length: count }, () => undefined)
}

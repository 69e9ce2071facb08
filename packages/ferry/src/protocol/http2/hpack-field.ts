/** A field as HPACK knows it: name and value in latin1 text, and what they weigh. */

/** What an entry of a table costs besides its text, in bytes (RFC 7541 §4.1). */
export const FIELD_OVERHEAD_BYTES = 32

/**
 * A field of a header list. The decoder hands out the entries of its tables themselves, those of the
 * static table to every connection: treat it as immutable but for `checked`.
 */
export class HpackField {
  readonly name: string
  readonly value: string
  /** Name and value in bytes, and 32 (RFC 7541 §4.1, RFC 9113 §6.5.2). */
  readonly sizeBytes: number
  /** Left to whoever reads the list, to remember a verdict; undefined at first. */
  checked: boolean | undefined

  constructor(name: string, value: string) {
    this.name = name
    this.value = value
    this.sizeBytes = name.length + value.length + FIELD_OVERHEAD_BYTES
    this.checked = undefined
  }
}

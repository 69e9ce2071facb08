/**
 * Bytes that have come and that nobody has taken yet, in one run of memory that grows and is used
 * again. Copies what it is given and what it gives: neither side's memory is ever the other's.
 */

// A common read; what grew beyond it is given back once it is empty.
const INITIAL_BYTES = 16_384

/** A queue of bytes that can be searched. */
export class TcpReadBuffer {
  #memory: Buffer = Buffer.alloc(0)
  #start = 0
  #end = 0

  /** In bytes. */
  get length(): number {
    return this.#end - this.#start
  }

  append(bytes: Uint8Array): void {
    if (this.#end + bytes.length > this.#memory.length) this.#makeRoom(bytes.length)
    this.#memory.set(bytes, this.#end)
    this.#end += bytes.length
  }

  /** Takes the first bytes; no more than there are. */
  take(length: number): Buffer {
    const end = Math.min(this.#start + length, this.#end)
    const taken = Buffer.from(this.#memory.subarray(this.#start, end))
    this.#start = end
    if (this.length === 0) {
      this.#start = 0
      this.#end = 0
      if (this.#memory.length > INITIAL_BYTES) this.#memory = Buffer.alloc(0)
    }
    return taken
  }

  /** Where the bytes begin that are looked for, from the first one on; -1 when nowhere. */
  indexOf(bytes: Uint8Array, from: number): number {
    return this.#memory.subarray(this.#start, this.#end).indexOf(bytes, from)
  }

  #makeRoom(bytes: number): void {
    const { length } = this
    const needed = length + bytes
    // Twice as much each time, so that many small pieces are not copied over and over.
    const roomy = this.#memory.length >= needed * 2 ? this.#memory : undefined
    const memory = roomy ?? Buffer.allocUnsafeSlow(Math.max(INITIAL_BYTES, needed * 2))
    this.#memory.copy(memory, 0, this.#start, this.#end)
    this.#memory = memory
    this.#start = 0
    this.#end = length
  }
}

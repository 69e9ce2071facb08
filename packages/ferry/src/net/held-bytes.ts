/** Bytes that came while nobody could take them, in order. Copies what it is given. */

/** A queue of bytes. */
export class HeldBytes {
  #chunks: Buffer[] = []
  #length = 0

  /** In bytes. */
  get length(): number {
    return this.#length
  }

  /** Adds behind what is there. */
  push(bytes: Uint8Array): void {
    this.#chunks.push(Buffer.from(bytes))
    this.#length += bytes.length
  }

  /** Adds before what is there. */
  unshift(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#chunks.unshift(Buffer.from(bytes))
    this.#length += bytes.length
  }

  /** Takes the first piece. */
  shift(): Buffer | undefined {
    const first = this.#chunks.shift()
    this.#length -= first?.length ?? 0
    return first
  }

  clear(): void {
    this.#chunks = []
    this.#length = 0
  }
}

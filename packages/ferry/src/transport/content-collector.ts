/** Sinks that gather the content of a response in memory: into its final place where its length is known. */
import { StreamError } from '../errors.ts'
import type { BodySink } from './response-body.ts'

/** A sink with something to take when it is over. */
export interface ContentCollector extends BodySink {
  /** What has come; call once, at the end. */
  take(): Buffer
}

// What a server announces is believed up to here; beyond it, memory follows what really comes.
const MAX_TRUSTED_BYTES = 1_048_576

/** Makes the collector for content of that length; more than `maxBytes` is a {StreamError}. */
export function createCollector(length: number | undefined, maxBytes: number): ContentCollector {
  return length !== undefined && length <= Math.min(MAX_TRUSTED_BYTES, maxBytes)
    ? new ExactCollector(length)
    : new GrowingCollector(maxBytes)
}

/** For a length that is known: the socket reads right into the result. */
class ExactCollector implements ContentCollector {
  readonly #memory: Buffer
  #at = 0

  constructor(length: number) {
    this.#memory = Buffer.allocUnsafe(length)
  }

  write(bytes: Buffer): boolean {
    const inPlace =
      bytes.buffer === this.#memory.buffer &&
      bytes.byteOffset === this.#memory.byteOffset + this.#at
    if (!inPlace) this.#memory.set(bytes, this.#at)
    this.#at += bytes.length
    return true
  }

  buffer(): Buffer | undefined {
    return this.#at === this.#memory.length ? undefined : this.#memory.subarray(this.#at)
  }

  take(): Buffer {
    // A response to HEAD announces what it does not bring.
    return this.#at === this.#memory.length ? this.#memory : this.#memory.subarray(0, this.#at)
  }
}

/** For a length that is unknown, or too large to be believed. */
class GrowingCollector implements ContentCollector {
  readonly #maxBytes: number
  readonly #chunks: Buffer[] = []
  #length = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  write(bytes: Buffer): boolean {
    this.#length += bytes.length
    if (this.#length > this.#maxBytes) {
      throw new StreamError(`Cannot take the response: more than ${this.#maxBytes} bytes`, {
        bytesReceived: this.#length,
        maxBytes: this.#maxBytes,
      })
    }
    this.#chunks.push(Buffer.from(bytes))
    return true
  }

  take(): Buffer {
    const [first] = this.#chunks
    return this.#chunks.length === 1 ? (first as Buffer) : Buffer.concat(this.#chunks, this.#length)
  }
}

/** Content of a request whose length nobody has told, and which may not be longer than so much. */
import type { IncomingMessage } from 'node:http'

/** Iterates over the content up to the cap, and fails then; the request stays open. */
export class CappedContent implements AsyncIterable<Uint8Array> {
  /** Whether more came than may come. */
  isExceeded = false
  readonly #request: IncomingMessage
  readonly #maxBytes: number

  constructor(request: IncomingMessage, maxBytes: number) {
    this.#request = request
    this.#maxBytes = maxBytes
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    let left = this.#maxBytes
    // The answer needs the connection.
    for await (const chunk of this.#request.iterator({ destroyOnReturn: false })) {
      const bytes = chunk as Uint8Array
      if (bytes.length > left) {
        this.isExceeded = true
        if (left > 0) yield bytes.subarray(0, left)
        throw new RangeError(`Cannot take more than ${this.#maxBytes} bytes`)
      }
      left -= bytes.length
      yield bytes
    }
  }
}

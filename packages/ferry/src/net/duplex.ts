/** A NetworkStream as a Duplex of node:stream, for libraries that want one. */
import { Duplex } from 'node:stream'
import type { NetworkStream } from './network-backend.ts'

/**
 * Gives a Duplex that reads and writes the stream, and takes it over: destroying the Duplex closes the
 * stream. Bytes are copied on the way in; backpressure works both ways.
 */
export function toDuplex(stream: NetworkStream): Duplex {
  return new NetworkDuplex(stream)
}

class NetworkDuplex extends Duplex {
  readonly #stream: NetworkStream

  constructor(stream: NetworkStream) {
    // As of a socket: who hears that the peer has ended ends too.
    super({ allowHalfOpen: false })
    this.#stream = stream
    stream.read({
      onBytes: (bytes) => {
        if (!this.push(Buffer.from(bytes))) stream.pause()
      },
      onEnd: () => this.push(null),
      onError: (error) => this.destroy(error),
    })
  }

  override _read(): void {
    this.#stream.resume()
  }

  override _write(chunk: Buffer, _: BufferEncoding, callback: () => void): void {
    this.#stream.write(chunk, callback)
  }

  override _final(callback: () => void): void {
    this.#stream.end()
    callback()
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#stream.close()
    callback(error)
  }
}

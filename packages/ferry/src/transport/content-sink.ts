/** Where the content of a request goes on its way to the wire: each protocol frames it its own way. */
import type { NetworkStream } from '../net/network-backend.ts'
import { formatChunkSize, formatLastChunk } from '../protocol/http1/request-writer.ts'
import type { HeaderFields } from '../protocol/semantics/header-fields.ts'

/** Is told how many bytes of content were taken. */
export type OnTaken = (bytes: number) => void

/** Takes the content of one request, in order. */
export interface ContentSink {
  /**
   * Sends bytes that stay as they are until `onTaken` has been told of all of them: as they are taken
   * by the system.
   * @returns bytes on the wire, framing included
   */
  send(bytes: Uint8Array, onTaken: OnTaken): number
  /** Sends bytes of which it makes its own copy; `onTaken` as above. */
  sendCopy(bytes: Uint8Array, onTaken: OnTaken): number
  /** The content is whole. @returns as above */
  end(trailers: HeaderFields): number
  /** No more comes although the content is not whole. */
  stop?(): void
}

/** Content of known length in HTTP/1.1: the bytes alone (RFC 9112 §6.2). */
export class IdentitySink implements ContentSink {
  readonly #stream: NetworkStream

  constructor(stream: NetworkStream) {
    this.#stream = stream
  }

  send(bytes: Uint8Array, onTaken: OnTaken): number {
    this.#stream.write(bytes, () => onTaken(bytes.length))
    return bytes.length
  }

  sendCopy(bytes: Uint8Array, onTaken: OnTaken): number {
    return this.send(Buffer.from(bytes), onTaken)
  }

  end(): number {
    return 0
  }
}

/** Content of unknown length in HTTP/1.1: chunked (RFC 9112 §7.1). */
export class ChunkedSink implements ContentSink {
  readonly #stream: NetworkStream

  constructor(stream: NetworkStream) {
    this.#stream = stream
  }

  send(bytes: Uint8Array, onTaken: OnTaken): number {
    const size = formatChunkSize(bytes.length)
    this.#stream.write(size)
    this.#stream.write(bytes)
    this.#stream.write('\r\n', () => onTaken(bytes.length))
    return size.length + bytes.length + 2
  }

  sendCopy(bytes: Uint8Array, onTaken: OnTaken): number {
    const size = formatChunkSize(bytes.length)
    const framed = Buffer.allocUnsafe(size.length + bytes.length + 2)
    framed.write(size, 0, 'latin1')
    framed.set(bytes, size.length)
    framed.write('\r\n', size.length + bytes.length, 'latin1')
    this.#stream.write(framed, () => onTaken(bytes.length))
    return framed.length
  }

  end(trailers: HeaderFields): number {
    const last = formatLastChunk(trailers)
    this.#stream.write(last)
    return last.length
  }
}

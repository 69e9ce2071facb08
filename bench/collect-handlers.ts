/** Handlers that collect the content of one response: what callback interfaces ask their users for. */
import type { Exchange, ResponseHandler } from 'ferry/transport'
import type { Dispatcher } from 'undici'

/** Whole content. */
export type Content = ArrayBuffer | Uint8Array

/** Who waits for the content. */
export interface ContentTaker {
  resolve(content: Content): void
  reject(error: Error): void
}

type ResponseHead = Parameters<ResponseHandler['onHead']>[0]

/** For Ferry: content lands in memory of our own, or is copied there since it is lent only. */
export class FerryCollector implements ResponseHandler {
  readonly #taker: ContentTaker
  #content: Buffer | undefined
  #received = 0
  readonly #chunks: Buffer[] = []

  constructor(taker: ContentTaker) {
    this.#taker = taker
  }

  onHead(_head: ResponseHead, length: number | undefined, _exchange: Exchange): void {
    if (length !== undefined) this.#content = Buffer.allocUnsafe(length)
  }

  contentBuffer(): Buffer | undefined {
    const content = this.#content
    if (content === undefined || this.#received === content.length) return undefined
    return content.subarray(this.#received)
  }

  onContent(bytes: Buffer): boolean {
    const content = this.#content
    if (content === undefined) {
      this.#chunks.push(Buffer.from(bytes))
      return true
    }
    const isInPlace =
      bytes.buffer === content.buffer && bytes.byteOffset === content.byteOffset + this.#received
    if (!isInPlace) content.set(bytes, this.#received)
    this.#received += bytes.length
    return true
  }

  onComplete(): void {
    this.#taker.resolve(this.#content ?? joinChunks(this.#chunks))
  }

  onError(error: Error): void {
    this.#taker.reject(error)
  }
}

/** For undici, which leaves its chunks to the handler. */
export class UndiciCollector implements Dispatcher.DispatchHandler {
  readonly #taker: ContentTaker
  readonly #chunks: Buffer[] = []

  constructor(taker: ContentTaker) {
    this.#taker = taker
  }

  onRequestStart(): void {}

  onResponseStart(): void {}

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    this.#taker.resolve(joinChunks(this.#chunks))
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#taker.reject(error)
  }
}

/** One chunk is the content already. */
export function joinChunks(chunks: readonly Buffer[]): Buffer {
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
}

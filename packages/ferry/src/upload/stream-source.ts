/**
 * A stream that can be read only once, as what is sent. What has been read and is not acknowledged is
 * kept, so that it can be sent again: at most a few pieces, whatever the length of the stream.
 */
import { TransferError } from '../errors.ts'
import type { Span } from '../transfer/span.ts'
import { type Content, toContent } from '../transport/content.ts'
import type { UploadSource } from './upload-source.ts'

/** What a stream is sent as. */
export interface StreamSourceOptions {
  readonly name: string
  readonly type?: string | undefined
  /** The most bytes to keep for one piece. @defaultValue 8 MiB */
  readonly maxPieceBytes?: number | undefined
}

interface KeptChunk extends Span {
  readonly bytes: Uint8Array
}

const MAX_PIECE_BYTES = 8_388_608

/** A stream to be sent. Closing it ends the stream. */
export class StreamSource implements UploadSource {
  readonly name: string
  readonly type: string | undefined
  readonly fingerprint: undefined
  readonly sha256: undefined
  readonly maxPieceBytes: number
  readonly #chunks: AsyncIterator<Uint8Array>
  #kept: KeptChunk[] = []
  #readTo = 0
  #keptFrom = 0
  #hasEnded = false
  /** Reads one after another. */
  #reading: Promise<void> = Promise.resolve()

  constructor(
    stream: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    { name, type, maxPieceBytes = MAX_PIECE_BYTES }: StreamSourceOptions,
  ) {
    this.name = name
    this.type = type
    this.maxPieceBytes = maxPieceBytes
    const streamed = toContent(stream) as Exclude<Content, Uint8Array>
    this.#chunks = streamed.open()[Symbol.asyncIterator]()
  }

  get size(): number | undefined {
    return this.#hasEnded ? this.#readTo : undefined
  }

  get keptFrom(): number {
    return this.#keptFrom
  }

  /** Reads one byte further than asked for, so that the last piece is known to be the last. */
  async prepare(start: number, maxBytes: number, signal?: AbortSignal): Promise<number> {
    const end = start + Math.min(maxBytes, this.maxPieceBytes)
    this.#reading = this.#reading.then(() => this.#readBeyond(end, signal))
    const reading = this.#reading
    // Whoever reads next fails by itself.
    this.#reading = reading.catch(() => {})
    await untilAborted(reading, signal)
    return Math.min(end, this.#readTo)
  }

  content({ start, end }: Span): Promise<Content> {
    if (start < this.#keptFrom || end > this.#readTo) throw goneError(this.name, start)
    const pieces = this.#kept
      .filter((chunk) => chunk.end > start && chunk.start < end)
      .map((chunk) => chunk.bytes.subarray(Math.max(0, start - chunk.start), end - chunk.start))
    return Promise.resolve(toContent(pieces))
  }

  release(offset: number): Promise<void> {
    this.#keptFrom = Math.max(this.#keptFrom, Math.min(offset, this.#readTo))
    this.#kept = this.#kept.filter((chunk) => chunk.end > this.#keptFrom)
    return Promise.resolve()
  }

  async close(): Promise<void> {
    if (this.#hasEnded) return
    await this.#chunks.return?.()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #readBeyond(end: number, signal: AbortSignal | undefined): Promise<void> {
    while (!this.#hasEnded && this.#readTo <= end) {
      signal?.throwIfAborted()
      const { done, value } = await this.#chunks.next()
      if (done === true) {
        this.#hasEnded = true
        return
      }
      // Its owner may use the memory again.
      const bytes = new Uint8Array(value)
      if (bytes.length === 0) continue
      this.#kept.push({ start: this.#readTo, end: this.#readTo + bytes.length, bytes })
      this.#readTo += bytes.length
    }
  }
}

/** What is being read goes on: it is kept for whoever asks next. */
function untilAborted(reading: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return reading
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    reading.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

function goneError(name: string, start: number): TransferError {
  return new TransferError(
    'source-changed',
    `Cannot send ${JSON.stringify(name)} from byte ${start} on: its stream can be read only once`,
  )
}

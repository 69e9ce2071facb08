/**
 * One content coding of a content that is decoded as it comes, on node:zlib's threads.
 *
 *     source → stage → stage → whoever takes the content
 *
 * Each asks the one before it to stop while it is full, so that no more is decoded than is taken.
 */
import type { ContentCoding } from './content-codings.ts'
import {
  createDecoder,
  type Decoder,
  explainDecodeError,
  trailingBytesError,
} from './content-decoder.ts'
import type { DecodeMeter } from './decode-meter.ts'

/** Where decoded bytes go. Nothing comes after `end` or `fail`. */
export interface DecodedSink {
  /** Bytes that stay as they are. @returns whether more is welcome now */
  write(bytes: Buffer): boolean
  end(): void
  fail(error: Error): void
}

/** Decodes one coding. Whoever makes it closes it. */
export class DecodeStage implements DecodedSink {
  readonly #coding: ContentCoding
  readonly #output: DecodedSink
  readonly #meter: DecodeMeter
  readonly #onRoom: () => void
  /** Made when the first byte comes: content without one is whole in any coding. */
  #decoder: Decoder | undefined
  #givenBytes = 0
  #decodedBytes = 0

  /** `onRoom` is called when more is welcome again after `write()` returned false. */
  constructor(options: {
    readonly coding: ContentCoding
    readonly output: DecodedSink
    readonly meter: DecodeMeter
    readonly onRoom: () => void
  }) {
    this.#coding = options.coding
    this.#output = options.output
    this.#meter = options.meter
    this.#onRoom = options.onRoom
  }

  write(bytes: Buffer): boolean {
    if (bytes.length === 0) return true
    this.#decoder ??= this.#open(bytes)
    this.#givenBytes += bytes.length
    return this.#decoder.write(bytes)
  }

  end(): void {
    if (this.#decoder === undefined) this.#output.end()
    else this.#decoder.end()
  }

  fail(error: Error): void {
    this.#output.fail(error)
  }

  /** Goes on after the output's `write()` returned false. */
  resume(): void {
    this.#decoder?.resume()
  }

  close(): void {
    this.#decoder?.destroy()
  }

  #open(first: Buffer): Decoder {
    const decoder = createDecoder(this.#coding, first)
    decoder.on('data', (bytes: Buffer) => this.#give(bytes))
    decoder.on('drain', this.#onRoom)
    decoder.on('error', (error: Error) => this.#failDecoding(error))
    decoder.on('end', () => {
      // It ends by itself, too, where the coding does; the rest is left unread then.
      if (decoder.bytesWritten < this.#givenBytes) this.#failDecoding(trailingBytesError())
      else this.#output.end()
    })
    return decoder
  }

  #give(bytes: Buffer): void {
    try {
      this.#decodedBytes += bytes.length
      this.#meter.check(this.#decodedBytes)
      if (!this.#output.write(bytes)) this.#decoder?.pause()
    } catch (error) {
      this.#output.fail(error as Error)
    }
  }

  #failDecoding(cause: Error): void {
    this.#output.fail(this.#meter.error(explainDecodeError(this.#coding, cause), { cause }))
  }
}

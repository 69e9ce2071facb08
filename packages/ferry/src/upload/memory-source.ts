/** Bytes in memory, or a Blob, as what is sent. */
import type { Span } from '../transfer/span.ts'
import { type Content, toContent } from '../transport/content.ts'
import type { UploadSource } from './upload-source.ts'

/** What memory is sent as. */
export interface MemorySourceOptions {
  readonly name: string
  readonly type?: string | undefined
}

/** Bytes that must not change until they are sent. */
export class MemorySource implements UploadSource {
  readonly name: string
  readonly type: string | undefined
  readonly size: number
  readonly keptFrom = 0
  readonly fingerprint: undefined
  readonly sha256: undefined
  readonly maxPieceBytes: number = Number.POSITIVE_INFINITY
  readonly #bytes: Uint8Array | Blob

  constructor(bytes: Uint8Array | Blob, { name, type }: MemorySourceOptions) {
    this.name = name
    this.type = type ?? (bytes instanceof Blob && bytes.type !== '' ? bytes.type : undefined)
    this.size = bytes instanceof Blob ? bytes.size : bytes.length
    this.#bytes = bytes
  }

  prepare(start: number, maxBytes: number): Promise<number> {
    return Promise.resolve(Math.min(this.size, start + maxBytes))
  }

  content({ start, end }: Span): Promise<Content> {
    const bytes = this.#bytes
    const part = bytes instanceof Blob ? bytes.slice(start, end) : bytes.subarray(start, end)
    return Promise.resolve(toContent(part))
  }

  release(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

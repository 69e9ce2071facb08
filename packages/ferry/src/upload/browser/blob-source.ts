/** A File or other Blob of a page as what is sent. */
import { TransferError } from '../../errors.ts'
import type { Span } from '../../transfer/span.ts'
import type { StreamedContent } from '../../transport/content.ts'
import type { UploadSource } from '../upload-source.ts'

/** What it is sent as. */
export interface BlobSourceOptions {
  readonly name: string
  readonly type?: string | undefined
}

/** What a File tells beside its bytes. */
interface FileFacts {
  readonly name?: string
  readonly lastModified?: number
  /** Where it stands in the folder that was chosen, as browsers have it. */
  readonly webkitRelativePath?: string
}

const PIECE_BYTES = 1_048_576

/** A Blob to be sent. The same File, when it is chosen again, is the same source. */
export class BlobSource implements UploadSource {
  readonly name: string
  readonly type: string | undefined
  readonly size: number
  readonly keptFrom = 0
  readonly fingerprint: string | undefined
  readonly sha256: undefined
  readonly maxPieceBytes: number = Number.POSITIVE_INFINITY
  readonly #blob: Blob

  constructor(blob: Blob, { name, type = typeOfBlob(blob) }: BlobSourceOptions) {
    const { lastModified, name: fileName } = blob as FileFacts
    this.#blob = blob
    this.name = name
    this.type = type
    this.size = blob.size
    this.fingerprint =
      lastModified === undefined
        ? undefined
        : JSON.stringify([fileName, blob.type, blob.size, lastModified])
  }

  prepare(start: number, maxBytes: number): Promise<number> {
    return Promise.resolve(Math.min(this.size, start + maxBytes))
  }

  content({ start, end }: Span): Promise<StreamedContent> {
    return Promise.resolve(blobContent(this.#blob.slice(start, end), this.name))
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

/**
 * The bytes of a Blob, a piece at a time; not every browser can iterate over its stream.
 * Reading throws {TransferError} `source-changed` for a file that is another one than was chosen.
 */
export function blobContent(blob: Blob, name: string): StreamedContent {
  return { length: blob.size, replayable: true, open: () => readPieces(blob, name) }
}

/** Where a File stands in the folder that was chosen, else its name; undefined for other Blobs. */
export function nameOfBlob(blob: Blob): string | undefined {
  const { webkitRelativePath = '', name } = blob as FileFacts
  return webkitRelativePath === '' ? name : webkitRelativePath
}

/** Undefined where nobody has said. */
export function typeOfBlob({ type }: Blob): string | undefined {
  return type === '' ? undefined : type
}

async function* readPieces(blob: Blob, name: string): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < blob.size; at += PIECE_BYTES) {
    let bytes: ArrayBuffer
    try {
      bytes = await blob.slice(at, at + PIECE_BYTES).arrayBuffer()
    } catch (cause) {
      throw new TransferError(
        'source-changed',
        `Cannot read ${JSON.stringify(name)}: it has changed since it was chosen, or is gone`,
        { cause },
      )
    }
    yield new Uint8Array(bytes)
  }
}

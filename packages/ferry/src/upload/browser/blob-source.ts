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

  /** @throws {TransferError} `source-changed` for a file that is gone */
  static async open(blob: Blob, options: BlobSourceOptions): Promise<BlobSource> {
    const source = new BlobSource(blob, options)
    if (source.size === 0) await readBytes(blob, source.name)
    return source
  }

  private constructor(blob: Blob, { name, type = typeOfBlob(blob) }: BlobSourceOptions) {
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
    const part = this.#blob.slice(start, end)
    // Of one that is gone nothing is left.
    if (part.size !== end - start) throw changedError(this.name)
    return Promise.resolve(blobContent(part, this.name))
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
  const { size } = blob
  return { length: size, replayable: true, open: () => readPieces(blob, size, name) }
}

/** Where a File stands in the folder that was chosen, else its name; undefined for other Blobs. */
export function nameOfBlob(blob: Blob): string | undefined {
  const { webkitRelativePath = '', name = '' } = blob as FileFacts
  return webkitRelativePath || name || undefined
}

/** Undefined where nobody has said. */
export function typeOfBlob({ type }: Blob): string | undefined {
  return type === '' ? undefined : type
}

/** @param size what it had when somebody began: of a file that is gone browsers say 0 */
async function* readPieces(
  blob: Blob,
  size: number,
  name: string,
): AsyncGenerator<Uint8Array, void> {
  if (size === 0) await readBytes(blob, name)
  for (let at = 0; at < size; at += PIECE_BYTES) {
    const bytes = await readBytes(blob.slice(at, at + PIECE_BYTES), name)
    if (bytes.length !== Math.min(PIECE_BYTES, size - at)) throw changedError(name)
    yield bytes
  }
}

/** Only reading tells that a file is not what it was. */
async function readBytes(blob: Blob, name: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await blob.arrayBuffer())
  } catch (cause) {
    throw changedError(name, cause)
  }
}

function changedError(name: string, cause?: unknown): TransferError {
  return new TransferError(
    'source-changed',
    `Cannot read ${JSON.stringify(name)}: it has changed since it was chosen, or is gone`,
    { cause },
  )
}

/**
 * A file as what is sent. It may be read many times over hours; a change of its size or its time of
 * modification, and another file in its place, are found before the last byte of any piece is given.
 */
import type { BigIntStats } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { ConfigError, TransferError } from '../errors.ts'
import type { Span } from '../transfer/span.ts'
import type { Content } from '../transport/content.ts'
import { fingerprintOf, isSameVersion } from './file-fingerprint.ts'
import type { UploadSource } from './upload-source.ts'

/** How a file is sent. */
export interface FileSourceOptions {
  /** @defaultValue the last segment of its path */
  readonly name?: string | undefined
  readonly type?: string | undefined
  /** The version that is wanted, by its fingerprint; another one is refused. */
  readonly fingerprint?: string | undefined
  /** SHA-256 of that version in hex, where somebody has it. */
  readonly sha256?: string | undefined
}

// Read whole before it is sent, in one write with the head of its request.
const SMALL_BYTES = 65_536
// Two are in use for each piece that is on its way; as large as is fastest (see file-content.ts).
const BUFFER_BYTES = 524_288

/** A file to be sent. Whoever opens it closes it. */
export class FileSource implements UploadSource {
  readonly name: string
  readonly type: string | undefined
  readonly size: number
  readonly keptFrom = 0
  readonly fingerprint: string
  readonly sha256: string | undefined
  readonly maxPieceBytes: number = Number.POSITIVE_INFINITY
  readonly #path: string
  #file: Promise<FileHandle> | undefined
  /** Memory that nothing is being sent from. */
  readonly #buffers: Buffer[] = []

  private constructor(path: string, stats: BigIntStats, options: FileSourceOptions) {
    this.#path = path
    this.name = options.name ?? basename(path)
    this.type = options.type
    this.size = Number(stats.size)
    // Whoever has noted it in its older form goes on under that.
    this.fingerprint = options.fingerprint ?? fingerprintOf(stats)
    this.sha256 = options.sha256
  }

  /**
   * @throws {TransferError} `source-changed` when it is not the version that is wanted, or not there;
   * `disk-failed` when it cannot be looked at
   * @throws {ConfigError} when it is no regular file, or one that does not tell its size
   */
  static async open(path: string, options: FileSourceOptions = {}): Promise<FileSource> {
    const stats = await look(path)
    if (!stats.isFile()) {
      throw new ConfigError('source', `Cannot send ${JSON.stringify(path)}: not a regular file`)
    }
    const source = new FileSource(path, stats, options)
    if (!isSameVersion(source.fingerprint, fingerprintOf(stats))) throw changedError(path)
    if (source.size === 0) await source.#checkEmpty()
    return source
  }

  prepare(start: number, maxBytes: number): Promise<number> {
    return Promise.resolve(Math.min(this.size, start + maxBytes))
  }

  async content(span: Span): Promise<Content> {
    const length = span.end - span.start
    // What is read at once is looked at after that.
    if (length <= SMALL_BYTES) return await this.#readSmall(span)
    await this.#check()
    return { length, replayable: true, open: () => this.#read(span) }
  }

  release(): Promise<void> {
    return Promise.resolve()
  }

  async close(): Promise<void> {
    const file = await this.#file?.catch(() => undefined)
    this.#file = undefined
    await file?.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #open(): Promise<FileHandle> {
    this.#file ??= open(this.#path).catch((cause: NodeJS.ErrnoException) => {
      throw lookError(this.#path, cause)
    })
    return this.#file
  }

  /** While one buffer is being sent the next is being read. */
  async *#read({ start, end }: Span): AsyncGenerator<Uint8Array, void> {
    const file = await this.#open()
    let offset = start
    let free = this.#takeBuffer()
    let spare: Buffer | undefined
    let reading = this.#readAt(file, free, { start, end })
    try {
      while (offset < end) {
        const filled = free
        const bytesRead = await reading
        offset += bytesRead
        if (offset < end) {
          // What was sent last is done with, now that more is asked for.
          free = spare ?? this.#takeBuffer()
          spare = filled
          reading = this.#readAt(file, free, { start: offset, end })
          // It may fail while the receiver is busy; the next turn tells.
          reading.catch(() => {})
        } else {
          await this.#check()
        }
        yield filled.subarray(0, bytesRead)
      }
      // All of it was taken: others may have the memory.
      for (const buffer of [free, spare]) if (buffer !== undefined) this.#buffers.push(buffer)
    } finally {
      await reading.catch(() => {})
    }
  }

  #takeBuffer(): Buffer {
    return this.#buffers.pop() ?? Buffer.allocUnsafeSlow(Math.min(BUFFER_BYTES, this.size))
  }

  async #readSmall(span: Span): Promise<Uint8Array> {
    const bytes = Buffer.allocUnsafe(span.end - span.start)
    const file = await this.#open()
    let at = 0
    while (at < bytes.length) {
      at += await this.#readAt(file, bytes.subarray(at), { start: span.start + at, end: span.end })
    }
    await this.#check()
    return bytes
  }

  /** @returns how many bytes were read, at least one */
  async #readAt(file: FileHandle, buffer: Buffer, { start, end }: Span): Promise<number> {
    const length = Math.min(buffer.length, end - start)
    const { bytesRead } = await file
      .read(buffer, 0, length, start)
      .catch((cause: NodeJS.ErrnoException) => {
        throw lookError(this.#path, cause)
      })
    if (bytesRead === 0) throw changedError(this.#path)
    return bytesRead
  }

  /**
   * Files that a system makes up, as those below /proc, have content and say that they have none.
   * @throws {ConfigError} source
   */
  async #checkEmpty(): Promise<void> {
    const file = await this.#open()
    const { bytesRead } = await file.read(Buffer.alloc(1), 0, 1, 0).catch(async (cause: Error) => {
      await this.close()
      throw lookError(this.#path, cause)
    })
    await this.close()
    if (bytesRead === 0) return
    throw new ConfigError(
      'source',
      `Cannot send ${JSON.stringify(this.#path)}: its size is not known; send it as a stream`,
    )
  }

  /** @throws {TransferError} source-changed, when it is another version, or not there */
  async #check(): Promise<void> {
    const found = fingerprintOf(await look(this.#path))
    if (!isSameVersion(this.fingerprint, found)) throw changedError(this.#path)
  }
}

function look(path: string): Promise<BigIntStats> {
  return stat(path, { bigint: true }).catch((cause: NodeJS.ErrnoException) => {
    throw lookError(path, cause)
  })
}

function lookError(path: string, cause: NodeJS.ErrnoException): TransferError {
  const isGone = cause.code === 'ENOENT'
  const reason = isGone ? 'there is no such file' : cause.message
  return new TransferError(
    isGone ? 'source-changed' : 'disk-failed',
    `Cannot send ${JSON.stringify(path)}: ${reason}`,
    { cause },
  )
}

function changedError(path: string): TransferError {
  return new TransferError(
    'source-changed',
    `Cannot send ${JSON.stringify(path)}: the file has changed since it was looked at`,
  )
}

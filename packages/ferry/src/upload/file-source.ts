/**
 * A file as what is sent. It may be read many times over hours; a change of its size, its time of
 * modification or its place on the disk is found before the last byte of any piece is given.
 */
import type { BigIntStats } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { ConfigError, isFerryError, TransferError } from '../errors.ts'
import type { Span } from '../transfer/span.ts'
import type { Content, StreamedContent } from '../transport/content.ts'
import { fileContent } from '../transport/file-content.ts'
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

/** A file to be sent. It is opened for each piece only; closing it does nothing. */
export class FileSource implements UploadSource {
  readonly name: string
  readonly type: string | undefined
  readonly size: number
  readonly keptFrom = 0
  readonly fingerprint: string
  readonly sha256: string | undefined
  readonly maxPieceBytes: number = Number.POSITIVE_INFINITY
  readonly #path: string

  private constructor(path: string, stats: BigIntStats, options: FileSourceOptions) {
    this.#path = path
    this.name = options.name ?? basename(path)
    this.type = options.type
    this.size = Number(stats.size)
    this.fingerprint = fingerprintOf(stats)
    this.sha256 = options.sha256
  }

  /**
   * @throws {TransferError} `source-changed` when it is not the version that is wanted, or not there;
   * `disk-failed` when it cannot be looked at
   * @throws {ConfigError} when it is no regular file
   */
  static async open(path: string, options: FileSourceOptions = {}): Promise<FileSource> {
    const stats = await look(path)
    if (!stats.isFile()) {
      throw new ConfigError('source', `Cannot send ${JSON.stringify(path)}: not a regular file`)
    }
    const source = new FileSource(path, stats, options)
    const { fingerprint = source.fingerprint } = options
    if (source.fingerprint !== fingerprint) throw changedError(path)
    return source
  }

  prepare(start: number, maxBytes: number): Promise<number> {
    return Promise.resolve(Math.min(this.size, start + maxBytes))
  }

  async content(span: Span): Promise<Content> {
    await this.#check()
    if (span.end - span.start <= SMALL_BYTES) return await this.#readSmall(span)
    const content = await this.#translate(() => fileContent(this.#path, span))
    return {
      length: span.end - span.start,
      replayable: true,
      open: (signal) => this.#read(content, signal),
    }
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

  async *#read(content: StreamedContent, signal?: AbortSignal): AsyncGenerator<Uint8Array, void> {
    let left = content.length as number
    try {
      for await (const piece of content.open(signal)) {
        left -= piece.length
        if (left <= 0) await this.#check()
        yield piece
      }
    } catch (error) {
      throw toChanged(error, this.#path)
    }
  }

  async #readSmall({ start, end }: Span): Promise<Uint8Array> {
    const file = await open(this.#path).catch((cause: NodeJS.ErrnoException) => {
      throw lookError(this.#path, cause)
    })
    const bytes = Buffer.allocUnsafeSlow(end - start)
    try {
      const { bytesRead } = await file.read(bytes, 0, bytes.length, start)
      if (bytesRead < bytes.length) throw changedError(this.#path)
    } finally {
      await file.close()
    }
    await this.#check()
    return bytes
  }

  async #check(): Promise<void> {
    if (fingerprintOf(await look(this.#path)) !== this.fingerprint) throw changedError(this.#path)
  }

  async #translate<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      throw toChanged(error, this.#path)
    }
  }
}

/** Tells a version of a file from others. */
export function fingerprintOf({ size, mtimeNs, ino, dev }: BigIntStats): string {
  return `${size}-${mtimeNs}-${ino}-${dev}`
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

/** What the reading of a file finds, in the words of a source. */
function toChanged(error: unknown, path: string): unknown {
  const isChange =
    isFerryError(error, 'size-mismatch') ||
    isFerryError(error, 'representation-changed') ||
    error instanceof ConfigError
  return isChange ? changedError(path, error) : error
}

function changedError(path: string, cause?: unknown): TransferError {
  return new TransferError(
    'source-changed',
    `Cannot send ${JSON.stringify(path)}: the file has changed since it was looked at`,
    cause === undefined ? {} : { cause },
  )
}

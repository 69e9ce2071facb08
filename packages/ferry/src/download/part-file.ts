/**
 * The file that a download writes while it runs: positional writes and syncing. Knows nothing of the
 * network, nor of the name that the file gets in the end.
 */
import { type FileHandle, lstat, open } from 'node:fs/promises'
import { constants, write } from 'node:fs'
import { fileError } from '../transfer/files.ts'
import { TransferError } from '../errors.ts'

// Not through a link: in a shared folder somebody else could have put it there. (Windows has no such
// flag.)
const KEEP_OR_CREATE =
  constants.O_RDWR | constants.O_CREAT | ((constants.O_NOFOLLOW as number | undefined) ?? 0)

/** A write that waits for its turn, or is under way. */
interface Write {
  readonly bytes: Buffer
  readonly offset: number
  readonly callback: (error: Error | undefined) => void
}

/**
 * An open partial file. Whoever opens it closes it.
 *
 * The first failure of a write or sync is final: the system may have dropped what it could not
 * write, and reports that once.
 */
export class PartFile implements AsyncDisposable {
  readonly path: string
  readonly #handle: FileHandle
  #failure: Error | undefined
  /** One write at a time: the system lets no two into one file, and threads that wait burn CPU. */
  readonly #waiting: Write[] = []
  #writing = false

  private constructor(path: string, handle: FileHandle) {
    this.path = path
    this.#handle = handle
  }

  /** Opens the file and keeps what is in it, or creates it. */
  static async open(path: string): Promise<PartFile> {
    try {
      return new PartFile(path, await open(path, KEEP_OR_CREATE))
    } catch (cause) {
      throw fileError(`Cannot write ${path}`, cause)
    }
  }

  /** Sets the length: without blocks behind it, which costs nothing and lets parts come in any order. */
  async setLength(bytes: number): Promise<void> {
    await this.#handle.truncate(bytes).catch((cause: unknown) => {
      throw fileError(`Cannot set the length of ${this.path}`, cause)
    })
  }

  /**
   * Takes the blocks of the file at once, where the system can: not every file system does, and it
   * is only a precaution. Done by another process, since it can take long.
   */
  async reserve(bytes: number): Promise<void> {
    const { execFile } = await import('node:child_process')
    await new Promise<void>((resolve) => {
      const args = ['--keep-size', '--length', String(bytes), '--', this.path]
      execFile('fallocate', args, () => resolve())
    })
  }

  /** Sets the time of modification, in epoch ms; for when nothing more is written. */
  async setModifiedAt(ms: number): Promise<void> {
    await this.#handle.utimes(new Date(), new Date(ms)).catch((cause: unknown) => {
      throw fileError(`Cannot set the time of ${this.path}`, cause)
    })
  }

  /** Lets the owner of the file execute it. */
  async makeExecutable(): Promise<void> {
    try {
      const { mode } = await this.#handle.stat()
      await this.#handle.chmod((mode & 0o7777) | constants.S_IXUSR)
    } catch (cause) {
      throw fileError(`Cannot make ${this.path} executable`, cause)
    }
  }

  /**
   * Writes `bytes` at `offset` and calls back when the system has them; retries short writes.
   * After a failure every later write fails with the same error.
   */
  write(bytes: Buffer, offset: number, callback: (error: Error | undefined) => void): void {
    this.#waiting.push({ bytes, offset, callback })
    if (!this.#writing) this.#writeNext()
  }

  #writeNext(): void {
    const next = this.#waiting.shift()
    this.#writing = next !== undefined
    if (next === undefined) return
    const end = (error: Error | undefined): void => {
      this.#writeNext()
      next.callback(error)
    }
    if (this.#failure === undefined) this.#writeAll(next.bytes, next.offset, end)
    else queueMicrotask(() => end(this.#failure))
  }

  #writeAll(bytes: Buffer, offset: number, callback: Write['callback']): void {
    write(this.#handle.fd, bytes, 0, bytes.length, offset, (cause, written) => {
      if (cause !== null) {
        this.#failure ??= fileError(`Cannot write ${this.path}`, cause)
        callback(this.#failure)
      } else if (written < bytes.length) {
        this.#writeAll(bytes.subarray(written), offset + written, callback)
      } else {
        callback(undefined)
      }
    })
  }

  /** What is in the file at `offset`; fewer bytes where it ends before. */
  async read(offset: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length)
    const { bytesRead } = await this.#handle
      .read(bytes, 0, length, offset)
      .catch((cause: unknown) => {
        throw fileError(`Cannot read ${this.path}`, cause)
      })
    return bytes.subarray(0, bytesRead)
  }

  /**
   * Waits until everything that was written survives a power cut.
   * @throws {TransferError} when this, or any write or sync before it, has failed
   */
  async sync(): Promise<void> {
    if (this.#failure === undefined) {
      await this.#handle.datasync().catch((cause: unknown) => {
        this.#failure ??= fileError(`Cannot sync ${this.path}`, cause)
      })
    }
    // A write may have failed meanwhile.
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Bytes in the file. */
  async length(): Promise<number> {
    return (await this.#handle.stat()).size
  }

  /** @throws {TransferError} size-mismatch, when fewer or more bytes are there than the server had */
  async checkLength(size: number): Promise<void> {
    const length = await this.length()
    if (length === size) return
    throw new TransferError(
      'size-mismatch',
      `Cannot accept ${this.path}: expected ${size} bytes, got ${length}`,
    )
  }

  /** Whether its name still leads to it: somebody may have removed or replaced it. */
  async isInPlace(): Promise<boolean> {
    const ours = await this.#handle.stat({ bigint: true })
    const found = await lstat(this.path, { bigint: true }).catch(() => undefined)
    return found?.dev === ours.dev && found.ino === ours.ino
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/**
 * The file of `--output`: written beside its place and put there when all of it has come, so that
 * there is never half of one; a file that was there stays until then. What is no regular file (a
 * pipe, a device) is written to as it is.
 */
import { constants } from 'node:fs'
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises'
import { type ContentSink, ReaderGone } from './fetch-sinks.ts'
import { writeError } from './fetch-system-errors.ts'

/** Takes content for a file. Whoever opens it finishes or abandons it. */
export class FileSink implements ContentSink {
  readonly #path: string
  readonly #file: FileHandle
  /** Undefined when it is written in its place. */
  readonly #partPath: string | undefined

  private constructor(path: string, file: FileHandle, partPath: string | undefined) {
    this.#path = path
    this.#file = file
    this.#partPath = partPath
  }

  /** @throws {TransferError} `not-writable` */
  static async open(path: string): Promise<FileSink> {
    try {
      const found = await stat(path).catch(() => undefined)
      if (found !== undefined && !found.isFile()) {
        return new FileSink(path, await openInPlace(path), undefined)
      }
      // A link stays one.
      const target = found === undefined ? path : await realpath(path)
      const partPath = `${target}.${process.pid}.part`
      const file = await open(partPath, 'wx')
      const sink = new FileSink(target, file, partPath)
      if (found !== undefined) await file.chmod(found.mode & 0o777).catch(() => {})
      return sink
    } catch (cause) {
      throw writeError(path, cause as NodeJS.ErrnoException)
    }
  }

  /** @throws {TransferError} {ReaderGone} */
  async write(bytes: Uint8Array): Promise<void> {
    try {
      await this.#file.appendFile(bytes)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EPIPE') throw new ReaderGone()
      throw writeError(this.#path, cause as NodeJS.ErrnoException)
    }
  }

  async finish(): Promise<void> {
    try {
      await this.#file.close()
      if (this.#partPath !== undefined) await rename(this.#partPath, this.#path)
    } catch (cause) {
      throw writeError(this.#path, cause as NodeJS.ErrnoException)
    }
  }

  async abandon(): Promise<void> {
    await this.#file.close().catch(() => {})
    if (this.#partPath !== undefined) await rm(this.#partPath, { force: true })
  }
}

/** Of a pipe that nobody reads this says so, instead of waiting, which nothing could end. */
async function openInPlace(path: string): Promise<FileHandle> {
  const probe = await open(path, constants.O_WRONLY | constants.O_NONBLOCK)
  try {
    return await open(path, 'w')
  } finally {
    await probe.close()
  }
}

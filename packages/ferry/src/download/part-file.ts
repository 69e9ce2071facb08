/**
 * The file that a download writes while it runs: positional writes, syncing, and the final rename.
 * Turns errors of the file system into sentences; knows nothing of the network.
 */
import { type FileHandle, link, lstat, open, rename, statfs, unlink } from 'node:fs/promises'
import { constants, write } from 'node:fs'
import { dirname } from 'node:path'
import { TransferError, type TransferErrorCode } from '../errors.ts'

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

/**
 * Gives a finished file its name and makes the name durable.
 * @throws {TransferError} target-exists, unless `overwrite`
 */
export async function publishFile(
  path: string,
  target: string,
  options: {
    overwrite: boolean
    /** Makes a hard link; fails on file systems that have none. @defaultValue the system's */
    makeLink?: (path: string, target: string) => Promise<void>
  },
): Promise<void> {
  try {
    if (options.overwrite) await renameOverwriting(path, target)
    else await renameWithoutOverwriting(path, target, options.makeLink ?? link)
  } catch (cause) {
    throw fileError(`Cannot give ${path} its name ${target}`, cause)
  }
  await syncFolder(dirname(target))
}

/** Where both names are one file already, after a crash between linking and unlinking, renaming does nothing. */
async function renameOverwriting(path: string, target: string): Promise<void> {
  await rename(path, target)
  await unlink(path).catch(() => {})
}

// How systems say that a file system, or a file, takes no hard links.
const NO_LINKS: ReadonlySet<string | undefined> = new Set([
  'EPERM',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
])

/** Linking fails where the name is taken, even by somebody who came a moment ago; renaming does not. */
async function renameWithoutOverwriting(
  path: string,
  target: string,
  makeLink: (path: string, target: string) => Promise<void>,
): Promise<void> {
  try {
    await makeLink(path, target)
  } catch (cause) {
    if (!NO_LINKS.has((cause as NodeJS.ErrnoException).code)) throw cause
    await renameOverReservation(path, target)
    return
  }
  await unlink(path)
}

/**
 * Takes the name with an empty file, which fails where it is taken, and renames over that. A crash
 * in between leaves the empty file, and the partial one as it was.
 */
async function renameOverReservation(path: string, target: string): Promise<void> {
  await (await open(target, 'wx')).close()
  try {
    await rename(path, target)
  } catch (cause) {
    await unlink(target).catch(() => {})
    throw cause
  }
}

/** Makes changes of names in a folder durable, where the system lets a folder be synced. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r').catch(() => undefined)
  await handle?.sync().catch(() => {})
  await handle?.close()
}

/** @throws {TransferError} no-space, when the file system has less than `bytes` left */
export async function checkFreeSpace(folder: string, bytes: number): Promise<void> {
  const stats = await statfs(folder).catch(() => undefined)
  if (stats === undefined || stats.blocks === 0) return
  const free = stats.bavail * stats.bsize
  if (free >= bytes) return
  throw new TransferError(
    'no-space',
    `Cannot fetch ${bytes} bytes into ${folder}: only ${free} bytes are free`,
    { detail: { neededBytes: bytes, freeBytes: free } },
  )
}

const CODES: Readonly<Record<string, [code: TransferErrorCode, reason: string]>> = {
  ENOSPC: ['no-space', 'the disk is full'],
  EDQUOT: ['no-space', 'the quota is used up'],
  EFBIG: ['no-space', 'the file system takes no file of that size'],
  EACCES: ['not-writable', 'permission denied'],
  EPERM: ['not-writable', 'permission denied'],
  EROFS: ['not-writable', 'the file system is read-only'],
  ENOENT: ['not-writable', 'there is no such folder'],
  ENOTDIR: ['not-writable', 'a part of the path is no folder'],
  ELOOP: ['not-writable', 'it is a symbolic link'],
  EISDIR: ['not-writable', 'it is a folder'],
  ENAMETOOLONG: ['not-writable', 'the name or its path is too long'],
  EEXIST: ['target-exists', 'a file of that name exists'],
}

/** The error for a failed call of the file system. */
export function fileError(attempt: string, cause: unknown): Error {
  if (cause instanceof TransferError) return cause
  const { code, message } = cause as NodeJS.ErrnoException
  const [errorCode, reason] = CODES[code ?? ''] ?? ['disk-failed', message]
  return new TransferError(errorCode, `${attempt}: ${reason}`, { cause })
}

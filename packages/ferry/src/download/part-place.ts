/**
 * The files of one download: the target, and beside it `NAME.part` with its bytes,
 * `NAME.part.journal` that says which of them are good, and `NAME.part.lock` that keeps a second
 * process out. Looks at them and clears them away; what they mean is decided by whoever asks.
 */
import { access, constants, lstat, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isFerryError, TransferError } from '../errors.ts'
import { FileLock } from '../transfer/file-lock.ts'
import { fileError } from '../transfer/files.ts'
import type { PartFile } from './part-file.ts'
import { removeJournal } from './resume-record.ts'

/** The suffix of a partial file. */
export const PART_SUFFIX = '.part'
// Of the files beside the partial one; SQLite makes it.
const LONGEST_SUFFIX = '.lock-journal'

/** Where one download keeps its files. */
export class PartPlace {
  /** Where the finished file will be. */
  readonly target: string
  /** Where its bytes are until then. */
  readonly partPath: string
  readonly journalPath: string
  #lock: FileLock | undefined

  constructor(target: string) {
    this.target = target
    this.partPath = target + PART_SUFFIX
    this.journalPath = `${this.partPath}.journal`
  }

  get folder(): string {
    return dirname(this.target)
  }

  get #lockPath(): string {
    return `${this.partPath}.lock`
  }

  /** @throws {TransferError} not-writable, when nothing can be written there */
  async check(): Promise<void> {
    await checkFolder(this.folder)
    try {
      // The longest name that is needed may be too long for the system.
      await lstat(`${this.partPath}${LONGEST_SUFFIX}`)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENAMETOOLONG') {
        throw fileError(`Cannot write ${this.partPath}`, cause)
      }
    }
    const found = await lstat(this.target).catch(() => undefined)
    if (found?.isDirectory() !== true) return
    throw new TransferError('not-writable', `Cannot write ${this.target}: it is a folder`)
  }

  /** Whether something has the target's name. */
  async targetExists(): Promise<boolean> {
    return (await lstat(this.target).catch(() => undefined)) !== undefined
  }

  /** Bytes in the partial file; undefined when there is none. */
  async partSize(): Promise<number | undefined> {
    return (await stat(this.partPath).catch(() => undefined))?.size
  }

  async hasJournal(): Promise<boolean> {
    return (await stat(this.journalPath).catch(() => undefined)) !== undefined
  }

  /**
   * Keeps others out until it is disposed of.
   * @throws {TransferError} locked
   */
  async lock(): Promise<AsyncDisposable> {
    try {
      this.#lock = await FileLock.take(this.#lockPath)
      return this.#lock
    } catch (cause) {
      if (!isFerryError(cause, 'locked')) throw fileError(`Cannot lock ${this.partPath}`, cause)
      throw new TransferError(
        'locked',
        `Cannot write ${this.target}: another download is writing it now`,
        { cause },
      )
    }
  }

  /**
   * Nobody else can write what we hold the lock for, unless somebody has removed the lock's file or
   * the partial one, which then may be another run's by now.
   * @throws {TransferError} locked
   */
  async checkOurs(file?: PartFile): Promise<void> {
    const isOurs = (await this.#lock?.isHeld()) === true && (await file?.isInPlace()) !== false
    if (isOurs) return
    throw new TransferError(
      'locked',
      `Cannot finish ${this.target}: somebody has removed or replaced ${this.partPath}, or its lock, meanwhile`,
      { detail: { replaced: true } },
    )
  }

  /** In this order: a crash between both leaves a journal without a file, not a file of unknown origin. */
  async discard(): Promise<void> {
    await unlink(this.partPath).catch(() => {})
    await removeJournal(this.journalPath)
  }

  /** Discards what an earlier run has left, unless another one is at it. */
  async discardIfFree(): Promise<void> {
    // A partial file without a journal is not ours.
    if (!(await this.hasJournal())) return
    try {
      await using _lock = await this.lock()
      await this.discard()
    } catch (error) {
      if (!isFerryError(error, 'locked')) throw error
    }
  }

  /**
   * Clears away what a run has left that was killed after it had given the file its name: nobody goes
   * on with that. A part of another file stays, and so does everything while another run is at it.
   */
  async clearRemains(): Promise<void> {
    if (!(await this.#hasRemains())) return
    // What cannot be locked is in use, or cannot be cleared away either.
    await using lock = await FileLock.take(this.#lockPath).catch(() => undefined)
    // Meanwhile another run may have begun, and ended, here.
    if (lock !== undefined && (await this.#hasRemains())) await this.discard()
  }

  /** Something is left beside the target, and no part but the target itself under its former name. */
  async #hasRemains(): Promise<boolean> {
    const [target, part, ...others] = await Promise.all(
      [
        this.target,
        this.partPath,
        this.journalPath,
        this.#lockPath,
        `${this.partPath}${LONGEST_SUFFIX}`,
      ].map((path) => lstat(path, { bigint: true }).catch(() => undefined)),
    )
    if (target?.isFile() !== true) return false
    if (part !== undefined) return part.dev === target.dev && part.ino === target.ino
    return others.some((other) => other !== undefined)
  }

  /** A run that got no response leaves nothing behind. */
  async removeEmptyPart(): Promise<void> {
    if ((await this.#lock?.isHeld()) !== true) return
    if ((await this.partSize()) === 0 && !(await this.hasJournal())) await unlink(this.partPath)
  }
}

/** @throws {TransferError} not-writable, when nothing can be written into the folder */
export async function checkFolder(path: string): Promise<void> {
  await access(path, constants.W_OK).catch((cause: unknown) => {
    throw fileError(`Cannot write into ${path}`, cause)
  })
}

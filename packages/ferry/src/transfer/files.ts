/**
 * What both directions do with files of the system: give a finished one its name for good, look at
 * the room that is left, and turn the system's errors into sentences.
 */
import { link, open, rename, statfs, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { TransferError, type TransferErrorCode } from '../errors.ts'
import { CommitRounds } from './commit-rounds.ts'

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

/** How systems say that a file system, or a file, takes no hard links. */
export const NO_LINKS: ReadonlySet<string | undefined> = new Set([
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

/**
 * Makes changes of names in a folder durable, where the system lets a folder be synced. Those who ask
 * while it is being synced share the next sync.
 */
export function syncFolder(path: string): Promise<void> {
  return folderSyncs.join(path)
}

const folderSyncs = new CommitRounds<string>(syncFolderNow)

async function syncFolderNow(path: string): Promise<void> {
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

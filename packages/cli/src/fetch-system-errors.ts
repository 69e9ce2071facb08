/** What the system says about files, in words and as errors. */
import { TransferError } from 'ferry/errors'

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is no folder',
  ENAMETOOLONG: 'the name or its path is too long',
  EROFS: 'the file system is read-only',
  EFBIG: 'the file would be larger than it may be',
  ENXIO: 'nobody is at its other end',
}

/** What the system says, in words. */
export function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  return REASONS[code ?? ''] ?? message
}

/** What the system says about writing, as an error with its exit code. */
export function writeError(what: string, cause: NodeJS.ErrnoException): TransferError {
  const isFull = cause.code === 'ENOSPC' || cause.code === 'EDQUOT'
  const reason = isFull ? 'no space left' : reasonOf(cause)
  return new TransferError(
    isFull ? 'no-space' : 'not-writable',
    `Cannot write ${what}: ${reason}`,
    {
      cause,
    },
  )
}

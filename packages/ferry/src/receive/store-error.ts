/** The error for a failed call of the file system, as the receiving side tells it. */
import { isFerryError, UploadError } from '../errors.ts'
import { fileError } from '../transfer/files.ts'

/** A disk without room is the server's state and not a fault: it has a code of its own. */
export function storeError(attempt: string, cause: unknown): Error {
  const error = fileError(attempt, cause)
  if (!isFerryError(error, 'no-space')) return error
  return new UploadError('insufficient-storage', error.message, { cause })
}

/** What SQLite and the system say of an outbox's file, as errors of ours. */
import { FerryError, TransferError, type TransferErrorCode } from '../errors.ts'
import { fileError } from '../transfer/files.ts'

// Result codes of SQLite; the higher bytes of `errcode` mostly only tell more exactly.
const REASONS: Readonly<Record<number, [code: TransferErrorCode, reason: string]>> = {
  3: ['not-writable', 'permission denied'],
  5: ['locked', 'another process keeps it to itself'],
  6: ['locked', 'another process keeps it to itself'],
  8: ['not-writable', 'it cannot be written'],
  11: ['outbox-unusable', 'its database is damaged'],
  13: ['no-space', 'the disk is full'],
  14: ['not-writable', 'it cannot be opened'],
  26: ['outbox-unusable', 'it is no database'],
  // SQLITE_IOERR_SHMSIZE: there is no room for the memory that the processes share.
  4874: ['no-space', 'the disk is full'],
}

/** The error for a call that failed; `attempt` is what was attempted, as `Cannot …` begins. */
export function outboxError(attempt: string, cause: unknown): Error {
  if (cause instanceof TransferError) {
    if (cause.message.startsWith('Cannot ')) return cause
    return new TransferError(cause.code, `${attempt}: ${cause.message}`, { detail: cause.detail })
  }
  if (cause instanceof FerryError || !(cause instanceof Error)) return cause as Error
  if (cause instanceof TypeError || cause instanceof RangeError) return cause
  const { errcode } = cause as { errcode?: number }
  if (errcode === undefined) return fileError(attempt, cause)
  const [code, reason] = REASONS[errcode] ??
    REASONS[errcode & 0xff] ?? ['disk-failed', cause.message]
  return new TransferError(code, `${attempt}: ${reason}`, { cause, detail: { errcode } })
}

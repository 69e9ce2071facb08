/** What SQLite and the system say of an outbox's file, as errors of ours. */
import { FerryError, TransferError, type TransferErrorCode, UploadError } from '../errors.ts'
import { fileError } from '../transfer/files.ts'

// Result codes of SQLite; the higher bytes of `errcode` only tell more exactly.
const REASONS: Readonly<Record<number, [code: TransferErrorCode, reason: string]>> = {
  3: ['not-writable', 'permission denied'],
  5: ['locked', 'another process keeps it to itself'],
  6: ['locked', 'another process keeps it to itself'],
  8: ['not-writable', 'it cannot be written'],
  11: ['outbox-unusable', 'its database is damaged'],
  13: ['no-space', 'the disk is full'],
  14: ['not-writable', 'it cannot be opened'],
  26: ['outbox-unusable', 'it is no database'],
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
  const [code, reason] = REASONS[errcode & 0xff] ?? ['disk-failed', cause.message]
  return new TransferError(code, `${attempt}: ${reason}`, { cause, detail: { errcode } })
}

/** The error for a sender that has let go of its item, or let its time run out and lost it. */
export function leaseLost(id: string): TransferError {
  return new TransferError('locked', `Cannot go on with item ${id}: it is not leased any more`)
}

/** The error for an item that is not there any more. */
export function itemGone(id: string): UploadError {
  return new UploadError('upload-not-found', `Cannot find item ${id} in the outbox`)
}

/** The error for content that is not what was added. */
export function partDamaged(id: string, part: number): TransferError {
  return new TransferError(
    'outbox-unusable',
    `Cannot read part ${part} of item ${id}: its bytes are not those that were added`,
  )
}

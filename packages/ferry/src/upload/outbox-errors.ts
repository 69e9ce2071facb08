/** What every outbox says of items that cannot be used. */
import { TransferError, UploadError } from '../errors.ts'

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

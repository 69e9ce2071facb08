/** Failures after which nobody knows whether the server has what was sent. */
import { HttpStatusError, TransferError } from '../errors.ts'
import type { Span } from '../transfer/span.ts'
import { isUntouched } from './retry-upload.ts'
import type { UploadJob } from './upload-protocol.ts'

/** The server, or a proxy before it, has failed while or after it took something. */
const DOUBTFUL: ReadonlySet<number> = new Set([408, 500, 502, 504, 520, 521, 522, 523, 524])

/** Whether what was sent may have arrived although sending it has failed. Pure. */
export function leavesDoubt(failure: unknown): boolean {
  if (failure instanceof HttpStatusError) return DOUBTFUL.has(failure.status)
  return !isUntouched(failure)
}

/**
 * Where a piece may have arrived and the server cannot be asked: tells of it where it may be sent again.
 * @throws {TransferError} `delivery-in-doubt` where it may not
 */
export function settleDoubt(
  { settings, tell, endpoint, source }: UploadJob,
  { start, end }: Span,
  cause: unknown,
): void {
  if (settings.onDoubt === 'resend') {
    tell({ type: 'doubt', span: { start, end } })
    return
  }
  throw new TransferError(
    'delivery-in-doubt',
    `Cannot go on sending ${JSON.stringify(source.name)} to ${endpoint.label}: ` +
      `whether bytes ${start} to ${end} have arrived is not known, and the server cannot tell`,
    { cause, detail: { start, end } },
  )
}

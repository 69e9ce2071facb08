/**
 * How much longer an upload is kept. Pure: instants in, milliseconds out.
 *
 * While a process runs, only its own clock counts, which no change of the time of day moves. What an
 * earlier process has left can be dated by the time of day alone, and that may be wrong at a start, or
 * may have been wrong before: the older of two contradicting ages is never believed.
 */
import type { CoreSettings } from './upload-options.ts'
import type { UploadFacts } from './upload-record.ts'

/** After a start nothing expires for so long: clients come back first, and clocks are put right. */
export const GRACE_MS = 600_000

/** Since when nothing has come. */
export interface Activity {
  /** On the core's clock. */
  readonly at: number
  /** Of an upload that an earlier process has left: in epoch ms, and when this one has found it. */
  readonly recovered?: { readonly epochAt: number; readonly foundAt: number }
}

/** Now, on both clocks. */
export interface Instant {
  readonly now: number
  readonly epochNow: number
}

/** How long an upload is kept without anything coming, in ms. */
export function keepMsOf(
  { completed, header, isUsed }: UploadFacts,
  { keepCompletedMs }: Pick<CoreSettings, 'keepCompletedMs'>,
): number {
  if (completed !== undefined) return keepCompletedMs
  return isUsed ? Math.min(header.expiresInMs, keepCompletedMs) : header.expiresInMs
}

/** When an upload was active that an earlier process has left. */
export function recoverActivity(epochAt: number, { now, epochNow }: Instant): Activity {
  // A record of the future is as good as one of now.
  return {
    at: now - Math.max(0, epochNow - epochAt),
    recovered: { epochAt, foundAt: now },
  }
}

/** How many ms are left of `keepMs`; none when it is over. */
export function msLeft({ at, recovered }: Activity, keepMs: number, instant: Instant): number {
  const { now, epochNow } = instant
  const leftByClock = keepMs - (now - at)
  if (recovered === undefined) return leftByClock
  const ageByDate = epochNow - recovered.epochAt
  const leftByDate = ageByDate < 0 ? leftByClock : keepMs - ageByDate
  const graceLeft = Math.min(keepMs, GRACE_MS) - (now - recovered.foundAt)
  return Math.max(leftByClock, leftByDate, graceLeft)
}

/** Keeps a lease for as long as something goes on under it. */
import type { Clock } from '../clock.ts'
import { isFerryError } from '../errors.ts'
import { DEFAULT_LEASE_MS } from './lease-state.ts'
import type { OutboxLease } from './outbox.ts'

/** So that it may fail twice before the lease is over. */
const RENEW_MS: number = DEFAULT_LEASE_MS / 3
/** After a failure: another process may have the outbox to itself, or its disk may be full. */
const RETRY_MS = 5000

/**
 * Renews a lease of the usual time until it is told to end.
 * @param onLost told once: another sender has it, or the outbox could not be reached until it was over
 * @returns what ends it
 */
export function keepLease(
  lease: Pick<OutboxLease, 'renew'>,
  clock: Clock,
  onLost: (error: unknown) => void,
): () => void {
  let cancel: () => void = () => {}
  let isOver = false
  let renewedAt = clock.now()
  const renewAfter = (delayMs: number): void => {
    cancel = clock.after(delayMs, () => void renew(), { background: true })
  }
  const renew = async (): Promise<void> => {
    const askedAt = clock.now()
    try {
      await lease.renew()
      renewedAt = askedAt
      if (!isOver) renewAfter(RENEW_MS)
    } catch (error) {
      if (isOver) return
      const isLate = clock.now() + RETRY_MS >= renewedAt + DEFAULT_LEASE_MS
      if (isLate || isLost(error)) onLost(error)
      else renewAfter(RETRY_MS)
    }
  }
  renewAfter(RENEW_MS)
  return () => {
    isOver = true
    cancel()
  }
}

/** Whether it is somebody else's, or nobody's: what SQLite says of its file comes with a code of its own. */
function isLost(error: unknown): boolean {
  if (isFerryError(error, 'upload-not-found')) return true
  return isFerryError(error, 'locked') && error.detail['errcode'] === undefined
}

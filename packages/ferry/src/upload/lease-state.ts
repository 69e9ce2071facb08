/**
 * Whether a lease still keeps others off. Pure: the time and what is known of the holder's process
 * are given.
 *
 * As long as the machine has not been started anew a lease is measured by the time since its start,
 * which no setting of the clock changes. The clock counts only afterwards, and where the system tells
 * no start; there a lease that would last longer than it was asked for was taken under another
 * clock, and is over.
 */

import { ConfigError } from '../errors.ts'

/** Longer than a sender is ever silent, short enough to wait for after a crash. */
export const DEFAULT_LEASE_MS = 60_000

/** Now, in both times. */
export interface LeaseTime {
  /** Epoch ms. */
  readonly wallMs: number
  /** Milliseconds since some moment that is the same for all processes until the system starts anew. */
  readonly uptimeMs: number
  /** Which start of the system this is; empty where the system does not tell. */
  readonly boot: string
}

/** How long somebody holds something. */
export interface LeaseTerm {
  readonly untilWallMs: number
  readonly untilUptimeMs: number
  readonly boot: string
  readonly durationMs: number
}

/** @throws {ConfigError} durationMs, when it is no whole number above 0 */
export function checkLeaseDuration(durationMs: number = DEFAULT_LEASE_MS): number {
  if (Number.isSafeInteger(durationMs) && durationMs > 0) return durationMs
  throw new ConfigError(
    'durationMs',
    `Cannot lease an item for ${String(durationMs)} ms: expected a whole number above 0`,
  )
}

/** The term of a lease that is taken or renewed now. */
export function termFrom(time: LeaseTime, durationMs: number): LeaseTerm {
  return {
    untilWallMs: time.wallMs + durationMs,
    untilUptimeMs: time.uptimeMs + durationMs,
    boot: time.boot,
    durationMs,
  }
}

/**
 * Whether the lease is over.
 * @param holderEnded whether the process that took it is known to have ended
 */
export function isOver(term: LeaseTerm, time: LeaseTime, holderEnded: boolean): boolean {
  if (holderEnded) return true
  if (term.boot !== '' && term.boot === time.boot) return term.untilUptimeMs <= time.uptimeMs
  const leftMs = term.untilWallMs - time.wallMs
  return leftMs <= 0 || leftMs > term.durationMs
}

/** How much longer it lasts; 0 when it is over by its time. */
export function leftMs(term: LeaseTerm, time: LeaseTime): number {
  const left =
    term.boot !== '' && term.boot === time.boot
      ? term.untilUptimeMs - time.uptimeMs
      : term.untilWallMs - time.wallMs
  return Math.max(0, left)
}

/**
 * Races the addresses of a host (RFC 8305): the next attempt starts when the last one fails or has
 * taken `ATTEMPT_DELAY_MS`; a running attempt is never given up before another has won.
 * Owns the order and the race; how one address is tried is the caller's.
 */
import type { Clock } from '../clock.ts'

/** One address of a host. */
export interface Address {
  readonly address: string
  readonly family: 4 | 6
}

/** A try for one address. */
export interface Attempt<Winner> {
  readonly result: Promise<Winner>
  /** Gives the try up; its result is then ignored. */
  cancel(): void
}

// RFC 8305 §5: "Connection Attempt Delay", recommended 250 ms.
const ATTEMPT_DELAY_MS = 250

/** Interleaves the families, beginning with that of the first address (RFC 8305 §4). */
export function orderAddresses(addresses: readonly Address[]): Address[] {
  const first = addresses[0]
  if (first === undefined) return []
  const preferred = addresses.filter(({ family }) => family === first.family)
  const others = addresses.filter(({ family }) => family !== first.family)
  const ordered: Address[] = []
  for (let index = 0; index < Math.max(preferred.length, others.length); index++) {
    const pair = [preferred[index], others[index]]
    ordered.push(...pair.filter((address) => address !== undefined))
  }
  return ordered
}

/**
 * Gives the first winner and cancels the rest.
 * @throws the first failure, when every address failed
 */
export function raceAddresses<Winner>(
  addresses: readonly Address[],
  start: (address: Address) => Attempt<Winner>,
  clock: Clock,
): Attempt<Winner> {
  const waiting = orderAddresses(addresses)
  const running = new Set<Attempt<Winner>>()
  const failures: unknown[] = []
  let stopTimer = (): void => {}
  let finished = false
  const { promise, resolve, reject } = Promise.withResolvers<Winner>()

  const stop = (): void => {
    finished = true
    stopTimer()
    for (const attempt of running) attempt.cancel()
    running.clear()
  }
  const startNext = (): void => {
    stopTimer()
    const address = waiting.shift()
    if (address === undefined) {
      if (running.size === 0) {
        stop()
        reject(failures[0])
      }
      return
    }
    const attempt = start(address)
    running.add(attempt)
    attempt.result.then(
      (winner) => {
        if (finished) return
        running.delete(attempt)
        stop()
        resolve(winner)
      },
      (failure: unknown) => {
        if (finished) return
        running.delete(attempt)
        failures.push(failure)
        startNext()
      },
    )
    if (waiting.length > 0) stopTimer = clock.after(ATTEMPT_DELAY_MS, startNext)
  }
  startNext()
  return { result: promise, cancel: stop }
}

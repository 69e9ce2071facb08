/**
 * Lets requests start no faster, and no more at a time, than a limit says: strictly in the order in
 * which they asked. One limiter may serve several clients.
 *
 * Owns the queue and its one timer, which runs only while somebody waits for time to pass; `Pace`
 * decides when a start is due. State changes synchronously; no `await` stands between looking and
 * taking. It learns from the server through `note()`: see there.
 */
import { NetworkError, TimeoutError } from '../../errors.ts'
import { Pace } from './pace.ts'
import { CountedPermit, FREE_PERMIT, type Permit } from './permit.ts'
import {
  type RateLimitOptions,
  type RateLimitSettings,
  resolveRateLimitOptions,
} from './rate-limit-options.ts'
import { type ResponseSigns, readServerWish } from './server-wish.ts'
import { WaitQueue } from './wait-queue.ts'

/** How long to wait for a permit. */
export interface AcquireOptions {
  readonly signal?: AbortSignal | undefined
  /** @defaultValue Infinity */
  readonly timeoutMs?: number | undefined
}

/** What gives each origin its limiter: one for all of them, or one for each. */
export interface RateLimiterSource {
  /** The limiter of an origin; to be asked for each request anew. */
  limiterFor(originKey: string): RateLimiter
}

interface Waiter {
  readonly grant: (permit: Permit) => void
}

// While the rate grows back, a start comes nearer; and platform timers end at 24.8 days.
const RECHECK_SLOWED_MS = 1000
const RECHECK_MS = 86_400_000

/** A limit on requests, with those that wait for it. */
export class RateLimiter implements RateLimiterSource {
  readonly #settings: RateLimitSettings
  readonly #pace: Pace | undefined
  readonly #queue = new WaitQueue<Waiter>()
  #active = 0
  #pausedUntil = Number.NEGATIVE_INFINITY
  #cancelTimer: (() => void) | undefined
  /** The first in the queue waits for nothing but the pace. */
  #waitsForPace = false

  /** @throws {ConfigError} when a number cannot be used */
  constructor(options: RateLimitOptions = {}) {
    this.#settings = resolveRateLimitOptions(options)
    const { requestsPerSecond, burst } = this.#settings
    if (requestsPerSecond !== Number.POSITIVE_INFINITY) {
      this.#pace = new Pace(requestsPerSecond, burst)
    }
  }

  /** How many wait. */
  get waiting(): number {
    return this.#queue.size
  }

  /** How many run; counted only under `maxConcurrent`. */
  get active(): number {
    return this.#active
  }

  /** Whether nothing is left of what it has seen: a new one would do the same. */
  get isIdle(): boolean {
    const now = this.#clock.now()
    return (
      this.#queue.size === 0 &&
      this.#active === 0 &&
      this.#pausedUntil <= now &&
      (this.#pace?.isRested(now) ?? true)
    )
  }

  limiterFor(): this {
    return this
  }

  /** A permit, if one is to be had at once and nobody waits; costs no promise. */
  tryAcquire(): Permit | undefined {
    if (this.#queue.size > 0 || this.#active >= this.#settings.maxConcurrent) return undefined
    const now = this.#clock.now()
    if (this.#opensAt(now) > now) return undefined
    return this.#start(now, { waited: false })
  }

  /**
   * Waits for a permit; whoever gets it releases it. An abort, or the end of the time, costs no token.
   * @throws {TimeoutError} phase `pool`: after `timeoutMs`. {NetworkError} `queue-full`: at once, when
   * `maxQueued` wait already; `detail` has that number. `signal.reason` when aborted.
   */
  acquire({ signal, timeoutMs }: AcquireOptions = {}): Promise<Permit> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error)
    const permit = this.tryAcquire()
    if (permit !== undefined) return Promise.resolve(permit)
    const { maxQueued } = this.#settings
    if (this.#queue.size >= maxQueued) {
      return Promise.reject(
        new NetworkError(
          'queue-full',
          `Cannot start the request: ${maxQueued} wait already for the limit of ${this.#limits}`,
          { detail: { maxQueued } },
        ),
      )
    }
    return this.#wait(signal, timeoutMs ?? Number.POSITIVE_INFINITY)
  }

  /**
   * Learns from a response. 429, and 503 with Retry-After, stop further starts for as long as
   * Retry-After or the quota's reset says, and halve the rate, which then grows back (see `SlowDown`).
   * An exhausted quota stops them until its reset, whatever the status.
   * @param now in epoch ms
   */
  note(response: ResponseSigns, now: number = Date.now()): void {
    if (!this.#settings.adaptive) return
    const { refused, retryAfterMs, resetMs } = readServerWish(response, now)
    const waitMs = refused ? (retryAfterMs ?? resetMs) : resetMs
    if (!refused && waitMs === undefined) return
    const at = this.#clock.now()
    const pauseMs = Math.min(waitMs ?? 0, this.#settings.maxPauseMs)
    this.#pausedUntil = Math.max(this.#pausedUntil, at + pauseMs)
    if (refused) this.#pace?.cut(at, this.#pausedUntil)
    this.#pump()
  }

  toString(): string {
    const now = this.#clock.now()
    const pausedMs = this.#pausedUntil - now
    const kept = this.#pace?.factorAt(now) ?? 1
    const parts = [
      this.#limits,
      `waiting ${this.#queue.size}`,
      ...(this.#settings.maxConcurrent === Number.POSITIVE_INFINITY
        ? []
        : [`active ${this.#active}`]),
      ...(pausedMs > 0 ? [`paused ${Math.ceil(pausedMs)} ms`] : []),
      ...(kept < 1 ? [`slowed to ${Math.round(kept * 100)} %`] : []),
    ]
    return `RateLimiter ${parts.join(', ')}`
  }

  get #clock(): RateLimitSettings['clock'] {
    return this.#settings.clock
  }

  get #limits(): string {
    const { requestsPerSecond, maxConcurrent, burst } = this.#settings
    const atRest = burst === 1 ? '' : ` (${burst} at once after a rest)`
    const rate = this.#pace === undefined ? [] : [`${requestsPerSecond}/s${atRest}`]
    const atOnce = maxConcurrent === Number.POSITIVE_INFINITY ? [] : [`${maxConcurrent} at a time`]
    return [...rate, ...atOnce].join(' and ') || 'the server'
  }

  #opensAt(now: number): number {
    const dueAt = this.#pace?.dueAt(now) ?? Number.NEGATIVE_INFINITY
    return Math.max(dueAt, this.#pausedUntil)
  }

  #start(now: number, how: { readonly waited: boolean }): Permit {
    this.#pace?.take(now, how)
    if (this.#settings.maxConcurrent === Number.POSITIVE_INFINITY) return FREE_PERMIT
    this.#active++
    return new CountedPermit(() => {
      this.#active--
      this.#pump()
    })
  }

  #wait(signal: AbortSignal | undefined, timeoutMs: number): Promise<Permit> {
    const { promise, resolve, reject } = Promise.withResolvers<Permit>()
    const leave = (): void => {
      this.#queue.delete(waiter)
      cancelTimeout?.()
      signal?.removeEventListener('abort', onAbort)
    }
    const giveUp = (error: Error): void => {
      leave()
      // Nobody may be left to wait for the timer.
      if (this.#queue.size === 0) this.#stopTimer()
      reject(error)
    }
    const onAbort = (): void => giveUp(signal?.reason as Error)
    const waiter: Waiter = {
      grant: (permit) => {
        leave()
        resolve(permit)
      },
    }
    signal?.addEventListener('abort', onAbort)
    const cancelTimeout =
      timeoutMs === Number.POSITIVE_INFINITY
        ? undefined
        : this.#clock.after(timeoutMs, () => {
            const message = `Cannot start the request: no room within ${timeoutMs} ms under the limit of ${this.#limits}`
            giveUp(new TimeoutError('pool', timeoutMs, message))
          })
    this.#queue.add(waiter)
    if (this.#queue.size === 1) this.#pump()
    return promise
  }

  /** Lets in whoever may start, in order, and sees to it that the next one is thought of. */
  #pump(): void {
    const waited = this.#waitsForPace
    this.#stopTimer()
    const now = this.#clock.now()
    for (let next = this.#queue.first; next !== undefined; next = this.#queue.first) {
      // A release goes on from here.
      if (this.#active >= this.#settings.maxConcurrent) return
      const opensAt = this.#opensAt(now)
      if (opensAt > now) {
        this.#startTimer(opensAt - now, now)
        this.#waitsForPace = opensAt > this.#pausedUntil
        return
      }
      next.grant(this.#start(now, { waited }))
    }
  }

  #startTimer(delayMs: number, now: number): void {
    const isSlowed = (this.#pace?.factorAt(now) ?? 1) < 1
    const recheckMs = isSlowed ? RECHECK_SLOWED_MS : RECHECK_MS
    // Platform timers drop fractions and would come early.
    this.#cancelTimer = this.#clock.after(Math.ceil(Math.min(delayMs, recheckMs)), () =>
      this.#pump(),
    )
  }

  #stopTimer(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#waitsForPace = false
  }
}

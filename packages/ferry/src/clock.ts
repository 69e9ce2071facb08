/** Time as a port, so that everything that waits can be tested without waiting. */
export interface Clock {
  /** Monotonic milliseconds; only differences mean something. */
  now(): number
  /**
   * Calls once after `delayMs`; the returned function cancels.
   * A background timer does not keep the process alive.
   */
  after(delayMs: number, callback: () => void, options?: { background?: boolean }): () => void
}

// The longest that a timer of the platform can wait, 24.8 days.
const MAX_DELAY_MS = 2_147_483_647

/** The machine's own time. Delays beyond 24.8 days never end. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(delayMs, callback, options) {
    // A longer one would be taken for 1 ms.
    if (delayMs > MAX_DELAY_MS) return () => {}
    const timer = setTimeout(callback, delayMs)
    if (options?.background === true) timer.unref()
    return () => clearTimeout(timer)
  },
}

/** Waits, and rejects with `signal.reason` when aborted meanwhile. */
export function wait(
  delayMs: number,
  signal?: AbortSignal,
  clock: Clock = systemClock,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error)
      return
    }
    const cancel = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    const onAbort = (): void => {
      cancel()
      reject(signal?.reason as Error)
    }
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

/** Waits for shared work; an abort ends the wait, with `signal.reason`, and not the work. */
export function abortable<Value>(
  work: Promise<Value>,
  signal: AbortSignal | undefined,
): Promise<Value> {
  if (signal === undefined) return work
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

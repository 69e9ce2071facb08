/** One piece of work at a time, in the order of asking. */

/** A queue of work. */
export class TcpTurns {
  #last: Promise<void> = Promise.resolve()

  /**
   * Runs the work when all before it is over, however it went.
   * @throws `signal.reason` when aborted before its turn; then the work is not begun
   */
  async run<Value>(work: () => Promise<Value>, signal?: AbortSignal): Promise<Value> {
    signal?.throwIfAborted()
    const before = this.#last
    const { promise: over, resolve: leave } = Promise.withResolvers<void>()
    this.#last = before.then(() => over)
    try {
      await turnOf(before, signal)
      return await work()
    } finally {
      leave()
    }
  }
}

function turnOf(before: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return before
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onAbort = (): void => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  void before.then(resolve)
  return promise.finally(() => signal.removeEventListener('abort', onAbort))
}

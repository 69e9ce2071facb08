/**
 * Makes what a callback of the caller threw an uncaught exception of the process, as an event emitter
 * would: it is a programming mistake, must not pass in silence, and must not break our own state.
 */
export function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}

/**
 * Listening to signals that live long and have a listener for every exchange. An event target keeps its
 * listeners in a list whose removed links still point at later ones, so that one of them that has become
 * old takes all that come after it for alive: garbage that only a full collection finds.
 */
import { throwLater } from './throw-later.ts'

/** One listener of the signal for all. */
interface Watch {
  readonly callbacks: Set<() => void>
  readonly listener: () => void
}

const watches = new WeakMap<AbortSignal, Watch>()

/**
 * Calls once when the signal aborts; nothing for one that has. What the callback throws is uncaught, and
 * the others are called all the same.
 * @returns what ends that; idempotent
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const watch = watches.get(signal) ?? watchSignal(signal)
  // The same function may come twice, for different reasons.
  const call = (): void => callback()
  watch.callbacks.add(call)
  return () => {
    // A signal without listeners can be collected, made of others or not.
    if (watch.callbacks.delete(call) && watch.callbacks.size === 0) forgetSignal(signal, watch)
  }
}

function watchSignal(signal: AbortSignal): Watch {
  const callbacks = new Set<() => void>()
  const listener = (): void => {
    // Who comes meanwhile comes too late, and who is let go meanwhile is not called.
    for (const call of [...callbacks]) {
      try {
        if (callbacks.has(call)) call()
      } catch (error) {
        throwLater(error)
      }
    }
  }
  const watch = { callbacks, listener }
  watches.set(signal, watch)
  signal.addEventListener('abort', listener, { once: true })
  return watch
}

function forgetSignal(signal: AbortSignal, { listener }: Watch): void {
  signal.removeEventListener('abort', listener)
  watches.delete(signal)
}

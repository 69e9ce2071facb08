/** Telling callers of what happens, by callbacks of theirs. */
import { throwLater } from '../transport/throw-later.ts'

/**
 * Calls a callback. What it throws becomes an uncaught exception of the process or page, and changes
 * nothing of what it is told of: whether a file is delivered is no business of who shows it.
 */
export function callBack<Args extends readonly unknown[]>(
  callback: ((...args: Args) => void) | undefined,
  ...args: Args
): void {
  try {
    callback?.(...args)
  } catch (error) {
    throwLater(error)
  }
}

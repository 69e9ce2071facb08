/** The TypeError that fetch rejects with when it gets no response, or no more of it. */
import { NetworkError } from '../../errors.ts'

/** What fetch was doing. */
export interface FetchAttempt {
  /** `GET http://h/x`; undefined while the URL could not be read. */
  readonly what: string | undefined
}

/**
 * Makes a TypeError, as fetch has to, that says in its message why; `cause` is the error itself. One
 * that is a plain TypeError already stays what it is.
 */
export function toFetchError(error: unknown, attempt: FetchAttempt): TypeError {
  if (error instanceof TypeError) return error
  const reason = error instanceof Error ? error.message : String(error)
  const what = attempt.what ?? readWhat(error)
  // Most of our messages name the request.
  if (what === undefined || reason.includes(what)) return new TypeError(reason, { cause: error })
  const words = reason.replace(/^Cannot /, 'cannot ')
  return new TypeError(`Cannot ${what}: ${words}`, { cause: error })
}

/** What the client says of the request, for a URL that only it could read. */
function readWhat(error: unknown): string | undefined {
  if (!(error instanceof NetworkError) || error.url === undefined) return undefined
  return `${error.method} ${error.url}`
}

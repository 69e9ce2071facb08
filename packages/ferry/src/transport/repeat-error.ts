/**
 * One failure may end several requests: a connection that was to carry them all. Each gets an error of
 * its own, since the client writes into it which request it was.
 */
import { ConnectError, RemoteProtocolError, StreamError, TimeoutError } from '../errors.ts'

/** The same error once more; itself where it is none of the transport's. */
export function repeatError(error: Error): Error {
  const { message, cause } = error
  if (error instanceof ConnectError) {
    return new ConnectError(error.phase, message, { cause, detail: error.detail })
  }
  if (error instanceof TimeoutError) return new TimeoutError(error.phase, error.timeoutMs, message)
  if (error instanceof RemoteProtocolError) {
    return new RemoteProtocolError(message, { cause, detail: error.detail })
  }
  return error instanceof StreamError ? new StreamError(message, { cause }) : error
}

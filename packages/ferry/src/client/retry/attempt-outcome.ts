/** How an attempt to get a response came to its end, and what kind of failure that was: pure. */
import { ConnectError, HttpStatusError, StreamError, TimeoutError } from '../../errors.ts'
import { HeaderFields } from '../../protocol/semantics/header-fields.ts'

/**
 * untouched: nothing was sent, or the server said that it has not touched it (RFC 9113 §8.7) ·
 * sent: it may have had its effect · answered: a response had started, so it has had it
 */
export type RequestProgress = 'untouched' | 'sent' | 'answered'

/** How an attempt came to its end. */
export type AttemptOutcome =
  | { readonly type: 'response'; readonly status: number; readonly headers: HeaderFields }
  | { readonly type: 'error'; readonly error: unknown; readonly progress: RequestProgress }
  /** Ended from outside, by the caller's signal or by the limit on all attempts together. */
  | { readonly type: 'aborted' }

/** Why an attempt without a response failed. */
export type FailureKind =
  | 'no-connection'
  | 'connection-lost'
  | 'timeout'
  /** It would fail in the same way again. */
  | 'futile'

/** The outcome that an error stands for; `progress` is the least that is known of the request. */
export function outcomeOf(error: unknown, progress: RequestProgress = 'sent'): AttemptOutcome {
  if (error instanceof HttpStatusError) {
    return {
      type: 'response',
      status: error.status,
      headers: HeaderFields.from([...error.headers]),
    }
  }
  if (isBeforeSending(error)) return { type: 'error', error, progress: 'untouched' }
  const hasContent = error instanceof StreamError && error.bytesReceived > 0
  return { type: 'error', error, progress: hasContent ? 'answered' : progress }
}

/** What kind of failure an error is. */
export function classifyFailure(error: unknown): FailureKind {
  if (error instanceof ConnectError) return isPassing(error) ? 'no-connection' : 'futile'
  // Also of phase `total`, which is that of the attempt: all attempts together end from outside.
  if (error instanceof TimeoutError) return 'timeout'
  // What is too long once is so again.
  return error instanceof StreamError && error.maxBytes === undefined ? 'connection-lost' : 'futile'
}

function isBeforeSending(error: unknown): boolean {
  if (error instanceof TimeoutError) return error.phase === 'pool' || error.phase === 'connect'
  return error instanceof ConnectError
}

/**
 * A certificate will not get better, nor what a proxy thinks of us. But a handshake that the peer broke
 * off, rather than failed, is what load balancers do in passing.
 */
function isPassing({ phase, detail }: ConnectError): boolean {
  const { reason, status } = detail as { readonly reason?: unknown; readonly status?: unknown }
  if (phase === 'tls') return reason === undefined || reason === 'ECONNRESET' || reason === 'EPIPE'
  // RFC 1928 §3, §6: no reply means that the login was refused, 2 that the rules forbid the way.
  if ('reply' in detail) return detail['reply'] !== undefined && detail['reply'] !== 2
  // What the proxy answered to CONNECT, if it did.
  return typeof status !== 'number' || status >= 500 || status === 408 || status === 429
}

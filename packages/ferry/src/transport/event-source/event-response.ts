/**
 * Decides whether a response carries events: a pure function of its head (HTML §9.2.3).
 * Redirects are not followed at this layer, and content codings not decoded.
 */
import { HttpStatusError, RemoteProtocolError } from '../../errors.ts'
import type { ResponseHead } from '../../protocol/semantics/response-head.ts'
import { parseRetryAfter } from '../../protocol/semantics/retry-after.ts'
import type { HttpUrl } from '../http-url.ts'
import type { AttemptEnd } from './next-retry.ts'

/** What the decision depends on besides the head. */
export interface ResponseContext {
  readonly url: HttpUrl
  /** Statuses that say "not now". */
  readonly retryStatuses: ReadonlySet<number>
  /** Epoch ms, for a Retry-After that is a date. */
  readonly now: number
}

// HTML §9.2.5, RFC 9110 §8.3.1: parameters may follow; a charset among them changes nothing.
const EVENT_STREAM = /^text\/event-stream[\t ]*(?:;|$)/i

/** `open`: its content is events. Anything else ends the attempt. */
export function decideResponse(
  head: ResponseHead,
  { url, retryStatuses, now }: ResponseContext,
): { readonly type: 'open' } | AttemptEnd {
  const { status, statusText, headers } = head
  if (status === 204) return { type: 'dismissed' }
  if (status !== 200) {
    const reason = statusText === '' ? String(status) : `${status} ${statusText}`
    const error = new HttpStatusError(`Cannot open the events of ${url.label}: ${reason}`, {
      status,
      statusText,
      headers,
    })
    if (!retryStatuses.has(status)) return { type: 'refused', error }
    const asked = headers.get('retry-after')
    const retryAfterMs = asked === undefined ? undefined : parseRetryAfter(asked, now)
    return { type: 'deferred', error, retryAfterMs }
  }
  const mismatch = findMismatch(head)
  if (mismatch === undefined) return { type: 'open' }
  const message = `Cannot open the events of ${url.label}: ${mismatch}`
  return { type: 'refused', error: new RemoteProtocolError(message) }
}

function findMismatch({ headers }: ResponseHead): string | undefined {
  const type = headers.get('content-type') ?? ''
  if (!EVENT_STREAM.test(type)) {
    return `expected Content-Type text/event-stream, got ${JSON.stringify(type)}`
  }
  // We have asked for identity; bytes that somebody compressed anyway would give no event at all.
  const coding = headers.get('content-encoding') ?? 'identity'
  if (coding.toLowerCase() === 'identity') return undefined
  return `content coding ${JSON.stringify(coding)} was not asked for and is not decoded here`
}

/**
 * Decides what may be stored, and whether what is stored may be used: pure functions of messages and
 * instants (RFC 9111 §3, §4.2; RFC 5861).
 *
 * http-cache-semantics knows which statuses and directives let a response be stored, how long it is
 * fresh, and what a request asks for. It is given fields as it reads them, and an age as of now, so
 * that it needs no clock. Around it stands what it gets wrong, each beside its section.
 */
import CachePolicy from 'http-cache-semantics'
import type { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import { parseHttpDate } from '../../protocol/semantics/http-date.ts'
import type { HttpRequest } from '../../transport/http-request.ts'
import {
  type CacheDirectives,
  formatCacheControl,
  parseCacheControl,
  secondsOf,
} from './cache-control.ts'

/** How strict to be. */
export interface PolicyOptions {
  /** Whether several users are served: then `private` forbids to store. */
  readonly shared: boolean
  /** Of the time since Last-Modified, for which a response without a lifetime is fresh. */
  readonly heuristicFraction: number
  /** How long beyond its lifetime a response may stand in for an error, whatever it says; in ms. */
  readonly staleIfErrorMs: number
}

/** A response, and when it came; epoch ms. */
export interface StoredHead {
  readonly status: number
  readonly headers: HeaderFields
  readonly requestedAt: number
  readonly receivedAt: number
}

/**
 * fresh: as it is · stale: the request takes it all the same · refresh: now, if it is asked for again
 * behind the caller's back · validate: only when the server confirms it
 */
export type Reuse = 'fresh' | 'stale' | 'refresh' | 'validate'

/** Whether a response to GET may be stored, and would be of use (RFC 9111 §3). */
export function isStorable(
  request: HttpRequest,
  head: StoredHead,
  options: PolicyOptions,
): boolean {
  const { headers } = head
  // §4.1: a response that depends on more than the request never matches another one.
  if (headers.get('vary')?.includes('*') === true) return false
  const policy = policyOf(head, request, head.receivedAt, options)
  return policy.storable() && (policy.maxAge() > 0 || hasAnyValidator(headers))
}

/** Whether, and how, a stored response may answer a request that it matches (RFC 9111 §4). */
export function decideReuse(
  head: StoredHead,
  request: HttpRequest,
  now: number,
  options: PolicyOptions,
): Reuse {
  const directives = parseCacheControl(head.headers)
  // §5.2.2.4; the package lets max-stale and stale-while-revalidate pass over it.
  if (directives.has('no-cache')) return 'validate'
  const policy = policyOf(head, request, now, options)
  const { response, revalidation } = policy.evaluateRequest(requestOf(request))
  if (response === undefined) return 'validate'
  if (!policy.stale()) return 'fresh'
  if (mustRevalidate(directives, options)) return 'validate'
  return revalidation === undefined ? 'stale' : 'refresh'
}

/** Whether a stale response may stand in where the server failed (RFC 5861 §4, RFC 9111 §4.2.4). */
export function canReplaceError(
  head: StoredHead,
  request: HttpRequest,
  now: number,
  options: PolicyOptions,
): boolean {
  const directives = parseCacheControl(head.headers)
  const asked = parseCacheControl(request.headers)
  if (directives.has('no-cache') || asked.has('no-cache')) return false
  if (mustRevalidate(directives, options)) return false
  const allowedMs = Math.max(
    options.staleIfErrorMs,
    (secondsOf(directives, 'stale-if-error') ?? 0) * 1000,
    (secondsOf(asked, 'stale-if-error') ?? 0) * 1000,
  )
  if (allowedMs === 0) return false
  const lifetimeMs = policyOf(head, request, now, options).maxAge() * 1000
  return currentAgeMs(head, now) < lifetimeMs + allowedMs
}

/** How old a response is (RFC 9111 §4.2.3), in ms. */
export function currentAgeMs(
  { headers, requestedAt, receivedAt }: StoredHead,
  now: number,
): number {
  const apparent = Math.max(0, receivedAt - dateOf(headers, receivedAt))
  const told = (secondsOf(new Map([['age', headers.get('age')]]), 'age') ?? 0) * 1000
  const corrected = told + Math.max(0, receivedAt - requestedAt)
  return Math.max(apparent, corrected) + Math.max(0, now - receivedAt)
}

/** Whether a response can be asked about (RFC 9110 §13.1). */
export function hasAnyValidator(headers: HeaderFields): boolean {
  return headers.has('etag') || headers.has('last-modified')
}

/** RFC 9111 §5.2.2.2, §5.2.2.8, §5.2.2.10: what is stale must not be used. */
function mustRevalidate(directives: CacheDirectives, { shared }: PolicyOptions): boolean {
  if (directives.has('must-revalidate')) return true
  return shared && (directives.has('proxy-revalidate') || directives.has('s-maxage'))
}

/** A policy that takes no time: what passes between two of its calls would count as age. */
class InstantPolicy extends CachePolicy {
  /** Overrides what its types leave out. */
  now(): number {
    return 0
  }
}

/** A policy for one decision. */
function policyOf(
  head: StoredHead,
  request: HttpRequest,
  now: number,
  { shared, heuristicFraction }: PolicyOptions,
): CachePolicy {
  const { status, headers, receivedAt } = head
  const directives = new Map(parseCacheControl(headers))
  // §5.2.2.2 binds stale responses alone, while the package never uses one with it; `decideReuse`
  // looks after those. For a shared cache it also allows to store what was authorized.
  const allowed = directives.delete('must-revalidate') && shared
  if (allowed && !directives.has('s-maxage')) directives.set('public', undefined)
  const expires = headers.get('expires')
  const lastModified = headers.get('last-modified')
  return new InstantPolicy(
    requestOf(request),
    {
      status,
      headers: {
        'cache-control': formatCacheControl(directives),
        age: String(Math.floor(currentAgeMs(head, now) / 1000)),
        date: new Date(dateOf(headers, receivedAt)).toUTCString(),
        // §5.3: what is no date has passed.
        ...(expires === undefined ? {} : { expires: formatDate(parseHttpDate(expires) ?? 0) }),
        ...(lastModified === undefined ? {} : { 'last-modified': lastModified }),
      },
    },
    // The package counts a lifetime of `immutable` in seconds that it was given in ms, and RFC 8246
    // gives it none.
    { shared, cacheHeuristic: heuristicFraction, immutableMinTimeToLive: 0 },
  )
}

/** A request as the package reads it: matching fields is done by `variantOf`. */
function requestOf({ headers }: HttpRequest): CachePolicy.HttpRequest {
  return {
    method: 'GET',
    url: '',
    headers: {
      'cache-control': formatCacheControl(parseCacheControl(headers)),
      ...(headers.has('authorization') ? { authorization: 'some' } : {}),
    },
  }
}

/** RFC 9110 §6.6.1: a response without Date is from when it came. */
function dateOf(headers: HeaderFields, receivedAt: number): number {
  return parseHttpDate(headers.get('date') ?? '') ?? receivedAt
}

function formatDate(at: number): string {
  return new Date(at).toUTCString()
}

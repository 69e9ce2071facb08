/** The interceptor of the cache: which requests it looks at, and who waits for whom. */
import type { HttpRequest } from '../../transport/http-request.ts'
import { HttpResponse } from '../../transport/http-response.ts'
import { HttpUrl } from '../../transport/http-url.ts'
import { abortable } from '../../clock.ts'
import type { Interceptor, InterceptorContext } from '../interceptor.ts'
import { parseCacheControl } from './cache-control.ts'
import type { CacheStore } from './cache-store.ts'
import { cacheKeyOf } from './cached-head.ts'
import { createMemoryCacheStore } from './memory-cache-store.ts'
import { ResponseCache } from './response-cache.ts'

/** Settings of a cache. */
export interface CacheOptions {
  /** Shared with whom you like; its owner closes it. @defaultValue one in memory, of 64 MiB */
  readonly store?: CacheStore | undefined
  /**
   * Whether requests of several users go through it, as in a gateway. Then it keeps nothing that is
   * `private`, and what came with Authorization only where the response allows that; otherwise
   * requests with another Authorization or Cookie just do not see each other's. @defaultValue false
   */
  readonly shared?: boolean | undefined
  /** Longer content passes through and is not kept. @defaultValue 8 388 608 */
  readonly maxBodyBytes?: number | undefined
  /**
   * Of the time since Last-Modified, how much a response is fresh for that does not say
   * (RFC 9111 §4.2.2): browsers take 0.1. @defaultValue 0, so that the server is asked each time
   */
  readonly heuristicFraction?: number | undefined
  /** How long what is stale may stand in for errors, whatever the response says; in ms. @defaultValue 0 */
  readonly staleIfErrorMs?: number | undefined
  /**
   * Whether `stale-while-revalidate` counts: the answer is stale, and the server is asked behind the
   * caller's back (RFC 5861 §3). @defaultValue false
   */
  readonly staleWhileRevalidate?: boolean | undefined
  /**
   * Whether identical requests wait for the one that is under way. Its content is then read at once,
   * whatever the pace of its caller, and held up to `maxBodyBytes`. @defaultValue false
   */
  readonly coalesce?: boolean | undefined
  /**
   * Is told when the store fails; the request goes to the server then.
   * @defaultValue the first such error becomes a warning of the process
   */
  readonly onStoreError?: ((error: unknown) => void) | undefined
  /** The time in epoch ms. @defaultValue Date.now */
  readonly now?: (() => number) | undefined
}

const DEFAULT_MAX_BODY_BYTES = 8_388_608
// RFC 9110 §9.2.1, and QUERY, which is registered as safe.
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY'])
/** Requests with conditions or a range of their own are between the caller and the server. */
const CONDITIONS = [
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  'range',
]

/**
 * Answers GET and HEAD from a store where RFC 9111 allows that, and keeps what may be kept. Content is
 * kept while the caller reads it, and only when it ends whole. Every answer from the store has an Age;
 * `cacheUseOf(response)` tells how it came about. A request with `Cache-Control: only-if-cached` gets
 * a 504 instead of the server's response.
 *
 * Requests of other methods that may change something drop what is stored under their URL, and under
 * Location and Content-Location of the response.
 */
export function cacheResponses(options: CacheOptions = {}): Interceptor {
  const { shared = false, coalesce = false } = options
  const cache = new ResponseCache({
    store: options.store ?? createMemoryCacheStore(),
    shared,
    maxBodyBytes: options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES,
    heuristicFraction: options.heuristicFraction ?? 0,
    staleIfErrorMs: options.staleIfErrorMs ?? 0,
    staleWhileRevalidate: options.staleWhileRevalidate ?? false,
    onStoreError: options.onStoreError ?? warnOnce(),
    now: options.now ?? Date.now,
  })
  const running = coalesce ? new Map<string, Promise<void>>() : undefined
  return {
    preRequest(request, context) {
      if (!SAFE_METHODS.has(request.method)) return change(cache, request, context)
      if (request.method !== 'GET' && request.method !== 'HEAD') return undefined
      return lookUp({ cache, request, context, running })
    },
  }
}

/** A request on its way. */
interface LookUp {
  readonly cache: ResponseCache
  readonly request: HttpRequest
  readonly context: InterceptorContext
  /** Requests that are being fetched, and when that is over; undefined where nobody waits. */
  readonly running: Map<string, Promise<void>> | undefined
}

async function lookUp(how: LookUp, hasWaited = false): Promise<HttpResponse> {
  const { cache, request, context, running } = how
  const directives = parseCacheControl(request.headers)
  const onlyIfCached = directives.has('only-if-cached')
  // RFC 9111 §5.2.1.5: nothing of the request or its response may be kept.
  if (isPrivate(request) || directives.has('no-store')) {
    return onlyIfCached ? notCached(request) : context.send(request)
  }
  const entry = await cache.find(request, context)
  const answer = entry && (await cache.answer(entry, request, context))
  if (answer !== undefined) return answer
  // RFC 9111 §5.2.1.7
  if (onlyIfCached) return notCached(request)
  if (request.method === 'HEAD') return fetchHead(how, entry?.headers)
  if (running === undefined) return cache.fetch(request, context, { entry })
  const form = context.decoded ? 'decoded' : 'coded'
  const identity = `${form} ${request.url.href}\n${request.headers.lines}`
  const other = running.get(identity)
  if (other !== undefined && !hasWaited) {
    await abortable(other, context.signal)
    return lookUp(how, true)
  }
  const { promise, resolve } = Promise.withResolvers<void>()
  if (other === undefined) running.set(identity, promise)
  const onEnd = (): void => {
    if (running.get(identity) === promise) running.delete(identity)
    resolve()
  }
  return cache.fetch(request, context, { entry, onEnd })
}

/** Whether a request concerns the server alone. */
function isPrivate({ headers, content, target }: HttpRequest): boolean {
  return (
    content !== undefined || target !== undefined || CONDITIONS.some((name) => headers.has(name))
  )
}

/** RFC 9111 §4.3.5: a head that tells of another version says that ours is old. */
async function fetchHead(
  { cache, request, context }: LookUp,
  stored: Iterable<readonly [string, string]> | undefined,
): Promise<HttpResponse> {
  const response = await context.send(request)
  if (stored === undefined || response.status !== 200) return response
  const known = new Map([...stored].map(([name, value]) => [name.toLowerCase(), value]))
  const isOther = ['etag', 'last-modified'].some(
    (name) => known.has(name) && known.get(name) !== response.headers.get(name),
  )
  if (isOther) await cache.invalidate(cacheKeyOf(request.url))
  return response
}

/** RFC 9111 §4.4: what a request may have changed is not used any more. */
async function change(
  cache: ResponseCache,
  request: HttpRequest,
  context: InterceptorContext,
): Promise<HttpResponse> {
  const response = await context.send(request)
  if (response.status < 200 || response.status >= 400) return response
  const { url } = request
  const places = ['location', 'content-location'].map((name) => response.headers.get(name))
  const urls = [url, response.url, ...places.map((place) => resolveUrl(place, response.url))]
  // Of other origins nothing: anybody could say so.
  const own = urls.filter((one) => one?.origin.key === url.origin.key) as HttpUrl[]
  for (const key of new Set(own.map(cacheKeyOf))) await cache.invalidate(key)
  return response
}

function resolveUrl(text: string | undefined, base: HttpUrl): HttpUrl | undefined {
  if (text === undefined) return undefined
  try {
    return HttpUrl.parse(text, base)
  } catch {
    return undefined
  }
}

function notCached({ url }: HttpRequest): HttpResponse {
  return HttpResponse.create({ status: 504, statusText: 'Gateway Timeout', url })
}

function warnOnce(): (error: unknown) => void {
  let warned = false
  return (error) => {
    if (warned) return
    warned = true
    const reason = error instanceof Error ? error.message : String(error)
    process.emitWarning(`The store of an HTTP cache failed: ${reason}`, {
      code: 'FERRY_CACHE_STORE',
    })
  }
}

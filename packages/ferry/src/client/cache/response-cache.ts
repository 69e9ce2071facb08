/**
 * The way of a request through the cache (RFC 9111 §4):
 *
 *     find ─ fresh ──────────────────────────────→ stored response
 *       ├─ stale ── ask ─ 304 ── freshen ────────→ stored response
 *       │             ├── error, if allowed ─────→ stored response, stale
 *       └─ none ─── ask ─ anything else ─ keep ──→ the server's response
 *
 * `cache-policy.ts` decides, `cached-head.ts` changes fields; here is what happens, and when.
 */
import { HttpResponse } from '../../transport/http-response.ts'
import type { HttpRequest } from '../../transport/http-request.ts'
import type { InterceptorContext } from '../interceptor.ts'
import { discardBody } from '../interceptors/discard-body.ts'
import {
  canReplaceError,
  decideReuse,
  hasAnyValidator,
  isStorable,
  type PolicyOptions,
} from './cache-policy.ts'
import type { CacheEntry, CacheStore } from './cache-store.ts'
import { type CacheUse, markCacheUse } from './cache-use.ts'
import {
  addConditions,
  answerFields,
  cacheKeyOf,
  confirmsEntry,
  createEntry,
  freshenEntry,
  headOf,
  variantOf,
} from './cached-head.ts'
import { Invalidations } from './invalidations.ts'
import { keepBody } from './keep-body.ts'

/** Settings with every default in its place. */
export interface CacheSettings extends PolicyOptions {
  readonly store: CacheStore
  readonly maxBodyBytes: number
  readonly staleWhileRevalidate: boolean
  readonly onStoreError: (error: unknown) => void
  /** Epoch ms. */
  readonly now: () => number
}

/** How a request is fetched. */
export interface FetchOptions {
  /** To be confirmed, or to stand in for an error. */
  readonly entry?: CacheEntry | undefined
  /** Reads the content at once, and tells when it is stored, or will not be. */
  readonly onEnd?: (() => void) | undefined
}

// RFC 5861 §4
const ERROR_STATUSES: ReadonlySet<number> = new Set([500, 502, 503, 504])

/** Answers requests from a store, and fills it. */
export class ResponseCache {
  readonly #settings: CacheSettings
  readonly #invalidations = new Invalidations()
  /** Entries that are being asked about behind their callers' backs. */
  readonly #refreshing = new Set<string>()

  constructor(settings: CacheSettings) {
    this.#settings = settings
  }

  /** The newest entry that matches a request. */
  async find(
    request: HttpRequest,
    { decoded }: InterceptorContext,
  ): Promise<CacheEntry | undefined> {
    const { store, shared } = this.#settings
    const options = { shared, decoded }
    const entries = (await this.#try(() => store.find(cacheKeyOf(request.url)))) ?? []
    return entries.find(({ vary, variant }) => variantOf(vary, request, options) === variant)
  }

  /** Answers from an entry without waiting for the server; undefined where that may not be. */
  async answer(
    entry: CacheEntry,
    request: HttpRequest,
    context: InterceptorContext,
  ): Promise<HttpResponse | undefined> {
    const { now, staleWhileRevalidate } = this.#settings
    const reuse = decideReuse(headOf(entry), request, now(), this.#settings)
    if (reuse === 'validate' || (reuse === 'refresh' && !staleWhileRevalidate)) return undefined
    const response = await this.#respond(entry, request, reuse === 'fresh' ? 'fresh' : 'stale')
    if (response !== undefined && reuse === 'refresh') this.#refresh(entry, request, context)
    return response
  }

  /** Asks the server, under conditions if there is an entry. */
  async fetch(
    request: HttpRequest,
    context: InterceptorContext,
    options: FetchOptions = {},
  ): Promise<HttpResponse> {
    const { entry } = options
    const requestedAt = this.#settings.now()
    const since = this.#invalidations.now
    let response: HttpResponse
    try {
      response = await context.send(entry === undefined ? request : addConditions(request, entry))
    } catch (error) {
      const instead =
        context.signal?.aborted === true ? undefined : await this.#replaceError(entry, request)
      options.onEnd?.()
      if (instead === undefined) throw error
      return instead
    }
    const instants = { requestedAt, receivedAt: this.#settings.now() }
    if (entry !== undefined && response.status === 304 && hasAnyValidator(headOf(entry).headers)) {
      await discardBody(response)
      const confirmed = await this.#confirm(entry, request, response, instants)
      if (confirmed === undefined)
        return this.fetch(request, context, { ...options, entry: undefined })
      options.onEnd?.()
      return confirmed
    }
    if (ERROR_STATUSES.has(response.status)) {
      const instead = await this.#replaceError(entry, request)
      if (instead !== undefined) await discardBody(response)
      options.onEnd?.()
      return instead ?? response
    }
    if (!this.#isToBeKept(request, response, instants)) {
      // What the server says now counts; what it said before does not.
      if (entry !== undefined) await this.#try(() => this.#settings.store.remove(entry.key))
      options.onEnd?.()
      return response
    }
    const { decoded } = context
    return this.#keep(request, response, { ...instants, since, decoded, onEnd: options.onEnd })
  }

  /** Drops what is stored under a key, and what is on its way there. */
  async invalidate(key: string): Promise<void> {
    this.#invalidations.add(key)
    await this.#try(() => this.#settings.store.remove(key))
  }

  async #confirm(
    entry: CacheEntry,
    request: HttpRequest,
    { headers }: HttpResponse,
    instants: { readonly requestedAt: number; readonly receivedAt: number },
  ): Promise<HttpResponse | undefined> {
    const { store } = this.#settings
    if (!confirmsEntry(entry, headers)) {
      await this.#try(() => store.remove(entry.key))
      return undefined
    }
    const freshened = freshenEntry(entry, headers, instants)
    await this.#try(() => store.update(freshened))
    return this.#respond(freshened, request, 'revalidated')
  }

  async #replaceError(
    entry: CacheEntry | undefined,
    request: HttpRequest,
  ): Promise<HttpResponse | undefined> {
    if (entry === undefined) return undefined
    const { now } = this.#settings
    if (!canReplaceError(headOf(entry), request, now(), this.#settings)) return undefined
    return this.#respond(entry, request, 'stale')
  }

  #isToBeKept(
    request: HttpRequest,
    { status, headers, url, body }: HttpResponse,
    instants: { readonly requestedAt: number; readonly receivedAt: number },
  ): boolean {
    // After a redirection it is the response to another request, whose fields we do not know.
    if (url.href !== request.url.href) return false
    if ((body.length ?? 0) > this.#settings.maxBodyBytes || body.used) return false
    return isStorable(request, { status, headers, ...instants }, this.#settings)
  }

  #keep(
    request: HttpRequest,
    response: HttpResponse,
    how: {
      readonly requestedAt: number
      readonly receivedAt: number
      readonly since: number
      readonly decoded: boolean
      readonly onEnd: (() => void) | undefined
    },
  ): HttpResponse {
    const { store, shared, maxBodyBytes } = this.#settings
    const { requestedAt, receivedAt, since, decoded, onEnd } = how
    const put = async (bytes: Buffer): Promise<void> => {
      const entry = createEntry(
        request,
        response,
        { requestedAt, receivedAt },
        { shared, decoded, bodyLength: bytes.length },
      )
      if (this.#invalidations.happenedSince(entry.key, since)) return
      await this.#try(() => store.put(entry, bytes))
    }
    const body = keepBody(response.body, {
      maxBytes: maxBodyBytes,
      // Nobody need take what is empty.
      eager: onEnd !== undefined || response.body.length === 0,
      onEnd: (bytes) => void (bytes === undefined ? onEnd?.() : put(bytes).finally(onEnd)),
    })
    return response.replaceBody(body)
  }

  /** Asks about an entry whose answer has been given already. */
  #refresh(entry: CacheEntry, request: HttpRequest, context: InterceptorContext): void {
    if (this.#refreshing.has(entry.id)) return
    this.#refreshing.add(entry.id)
    this.fetch(request, context, { entry })
      .then((response) => response.body.bytes(this.#settings.maxBodyBytes))
      // The entry stays as stale as it was, and the next request asks again.
      .catch(() => {})
      .finally(() => this.#refreshing.delete(entry.id))
  }

  async #respond(
    entry: CacheEntry,
    request: HttpRequest,
    use: CacheUse,
  ): Promise<HttpResponse | undefined> {
    const { store, now } = this.#settings
    const { status, statusText, version } = entry
    const head = { status, statusText, version, headers: answerFields(entry, now()) }
    const { url } = request
    if (request.method === 'HEAD') return markCacheUse(HttpResponse.create({ ...head, url }), use)
    const body = await this.#try(() => store.readBody(entry.id))
    if (body === undefined) return undefined
    return markCacheUse(HttpResponse.create({ ...head, url, body }), use)
  }

  /** What a store fails at is not there, and fails no request. */
  async #try<Value>(work: () => Value | Promise<Value>): Promise<Value | undefined> {
    try {
      return await work()
    } catch (error) {
      this.#settings.onStoreError(error)
      return undefined
    }
  }
}

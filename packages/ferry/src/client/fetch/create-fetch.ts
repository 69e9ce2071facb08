/**
 * `fetch()` on a client (WHATWG Fetch, https://fetch.spec.whatwg.org): the platform's Request, Headers
 * and Response on Ferry's connections, with the client's fields, cookies, limits and interceptors.
 *
 * Owns what is particular to fetch: what it makes of a redirection, of a failure and of an abort. What
 * it was asked for is read in fetch-request.ts; following redirections is the client's.
 */
import { FerryError, RemoteProtocolError } from '../../errors.ts'
import type { CallOptions, CommonOptions } from '../call-options.ts'
import type { ClientResponse } from '../client-response.ts'
import type { HttpClient } from '../http-client.ts'
import type { Interceptor } from '../interceptor.ts'
import { bodyStream } from './body-stream.ts'
import { toFetchError } from './fetch-error.ts'
import type { FetchedHead } from './fetched-response.ts'
import { type FetchRequest, readFetchRequest } from './fetch-request.ts'
import { matchesIntegrity } from './integrity.ts'

/** The shape of the platform's `fetch`. */
export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

/** Settings of a fetch, over those of its client. */
export interface FetchOptions extends Omit<
  CommonOptions,
  'baseUrl' | 'params' | 'raiseForStatus' | 'maxRedirects'
> {
  /** Further tries after the first: who uses fetch often tries again itself. @defaultValue 0 */
  readonly retries?: number | undefined
}

/** What fetch needs of a client. */
export type FetchClient = Pick<HttpClient, 'stream'>

// WHATWG Fetch §4.4, HTTP-redirect fetch, step 7
const MAX_REDIRECTS = 20
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
/** What has no content whatever comes (WHATWG Fetch §2.2.3, null body status). */
const NULL_BODY: ReadonlySet<number> = new Set([101, 103, 204, 205, 304])
// Taken now: programs put ours in its place.
const platformFetch = globalThis.fetch

/**
 * Gives a `fetch` that sends by a client, which stays the caller's to close. Whoever gets a response
 * reads its body or cancels it; one that nobody begins to read is given up after the body timeout.
 *
 * It rejects with TypeError, whose message says why and whose `cause` is the error of Ferry, and with
 * `signal.reason` when it was aborted; never for a status. URLs of `data:` and `blob:` go to the
 * platform.
 * @example
 * await using client = new HttpClient()
 * const fetch = createFetch(client)
 * const response = await fetch('https://example.org/')
 */
export function createFetch(client: FetchClient, options: FetchOptions = {}): Fetch {
  const settings = { ...options, retries: options.retries ?? 0 }
  return async function fetch(input, init) {
    const request = await readFetchRequest(input, init)
    if (request === 'local') return platformFetch(input, init)
    request.signal?.throwIfAborted()
    try {
      return await send(client, request, settings)
    } catch (error) {
      throw request.signal?.aborted === true
        ? (request.signal.reason as Error)
        : toFetchError(error, request)
    }
  }
}

async function send(
  client: FetchClient,
  request: FetchRequest,
  settings: FetchOptions,
): Promise<Response> {
  const { method, url, headers, body, redirect, signal, integrity } = request
  // The platform makes its Response when it is first looked at, which costs; few programs do.
  const { FetchedResponse } = await import('./fetched-response.ts')
  const watch = new RedirectWatch()
  const options: CallOptions = {
    ...settings,
    headers,
    body,
    signal,
    raiseForStatus: false,
    maxRedirects: redirect === 'follow' ? MAX_REDIRECTS : 0,
    interceptors: [watch],
  }
  const response = await client.stream(method, url, options)
  checkRedirection(response, request)
  const head = watch.headOf(response)
  if (integrity !== '') return new FetchedResponse(await readChecked(response, request), head)
  if (isWithoutBody(response)) {
    dropBody(response)
    return new FetchedResponse(null, head)
  }
  return new FetchedResponse(bodyStream(response.body, request), head)
}

/**
 * Sees the request of each attempt as it goes on to be redirected, so that a redirection shows even
 * when it leads back to the same URL.
 */
class RedirectWatch implements Interceptor {
  readonly scope = 'attempt'
  #first: ClientResponse['request'] | undefined

  preRequest(request: ClientResponse['request']): void {
    this.#first = request
  }

  headOf(response: ClientResponse): FetchedHead {
    const { status, statusText, headers, url, request } = response
    const first = this.#first ?? request
    const type = first.url.origin.key === url.origin.key ? 'basic' : 'cors'
    return { status, statusText, headers, url: url.href, redirected: first !== request, type }
  }
}

/** WHATWG Fetch §4.3, step 8. That content can be sent only once (§4.4, step 11) the client says. */
function checkRedirection(response: ClientResponse, { redirect }: FetchRequest): void {
  const { status } = response
  if (redirect !== 'error' || !REDIRECTS.has(status)) return
  response.cancel()
  throw new RemoteProtocolError(`Cannot ${nameOf(response)}: it was redirected, status ${status}`)
}

/** WHATWG Fetch §4.1, step 19. */
function isWithoutBody({ request, status }: ClientResponse): boolean {
  return request.method === 'HEAD' || NULL_BODY.has(status)
}

/** Takes an end that has not come yet; gives the response up if there is more than that. */
function dropBody({ body }: ClientResponse): void {
  body.bytes(0).catch(() => {})
}

/** WHATWG Fetch §4.1, step 20: nothing is shown before all of it is known to be right. */
async function readChecked(
  response: ClientResponse,
  { integrity }: FetchRequest,
): Promise<Uint8Array<ArrayBuffer>> {
  if (isWithoutBody(response)) {
    dropBody(response)
    throw new RemoteProtocolError(
      `Cannot ${nameOf(response)}: no content to check the integrity of`,
    )
  }
  const bytes = await response.bytes()
  if (matchesIntegrity(bytes, integrity)) return bytes as Uint8Array<ArrayBuffer>
  throw new FerryError(
    'checksum-mismatch',
    `Cannot ${nameOf(response)}: its content is not ${integrity}`,
  )
}

/** `GET http://h/x` */
function nameOf({ request, url }: ClientResponse): string {
  return `${request.method} ${url.label}`
}

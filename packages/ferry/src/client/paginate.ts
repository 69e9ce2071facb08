/** Goes through the pages of a list: by the field Link, or however the server says where the next one is. */
import { RemoteProtocolError } from '../errors.ts'
import { findLink } from '../protocol/semantics/link.ts'
import type { CallOptions } from './call-options.ts'
import type { ClientResponse } from './client-response.ts'
import { HttpUrl } from '../transport/http-url.ts'
import type { HttpClient } from './http-client.ts'

/** One page. */
export interface Page<Json> {
  /** Its content, parsed. */
  readonly value: Json
  readonly response: ClientResponse
  /** 1 for the first. */
  readonly number: number
}

/** Settings of a list. */
export interface PaginateOptions<Json> extends Omit<CallOptions, 'responseFormat'> {
  /**
   * Where the next page is: a URL, which may be relative to that of this page, and is taken as it is;
   * undefined at the end.
   * @defaultValue the link of relation `next` (RFC 8288)
   */
  readonly next?: ((page: Page<Json>) => string | URL | undefined) | undefined
  /** Pages after which it ends. @defaultValue Infinity */
  readonly maxPages?: number | undefined
}

/**
 * Gives one page after the other, each asked for when the one before has been taken. Parameters, of
 * the call and of the client, go with the first request alone. Where a page leads to another origin,
 * neither secrets nor the call's content go there, nor ever again: as with a redirection.
 * @throws {RemoteProtocolError} when a page leads to itself; else as `HttpClient.get()`
 * @example
 * for await (const { value } of paginate<Item[]>(client, '/items')) show(value)
 */
export async function* paginate<Json = unknown>(
  client: Pick<HttpClient, 'request'>,
  url: string | URL,
  options: PaginateOptions<Json> = {},
): AsyncGenerator<Page<Json>, void> {
  const { next = nextByLink, maxPages = Number.POSITIVE_INFINITY, ...call } = options
  let current: string | URL = url
  let asked: CallOptions = call
  for (let number = 1; number <= maxPages; number++) {
    // As JSON, so that limits of time and further tries hold for the content too.
    const response = await client.request('GET', current, { ...asked, responseFormat: 'json' })
      .response
    const page: Page<Json> = { value: await response.json<Json>(), response, number }
    yield page
    const target = next(page)
    if (target === undefined) return
    const following = new URL(target, response.url.href)
    if (following.href === response.url.href) {
      throw new RemoteProtocolError(
        `Cannot go on from page ${number} of ${response.url.label}: it leads to itself`,
      )
    }
    const isNear = HttpUrl.parse(following).origin.key === response.secretsOrigin
    if (isNear) addCredentials(following, response.request.url)
    current = following
    asked = followingOptions(call, { linkedFrom: response, isNear })
  }
}

/** Those that the first URL came with. */
function addCredentials(url: URL, { credentials }: HttpUrl): void {
  if (credentials === undefined) return
  url.username = encodeURIComponent(credentials.username)
  url.password = encodeURIComponent(credentials.password)
}

/** What goes with the pages after the first. */
function followingOptions(
  { json, form, body, trailers, ...call }: CallOptions,
  { linkedFrom, isNear }: { readonly linkedFrom: ClientResponse; readonly isNear: boolean },
): CallOptions {
  const content = isNear ? { json, form, body, trailers } : {}
  // What the server wants of parameters is in its link already; twice it could mean something else.
  return { ...call, ...content, linkedFrom, params: false }
}

function nextByLink({ response }: Page<unknown>): string | undefined {
  return findLink(response.headers.get('link'), 'next')
}

/**
 * Requests without a client of one's own, for scripts: one shared client of the process, made when it is
 * first used, with every default: the system's trust store, proxies from the environment. Its kept
 * connections do not keep a process alive, so nobody closes it.
 *
 * Each gives a response whose content has been read, whatever its status.
 */
import type { HttpUrl } from '../transport/http-url.ts'
import type { CallOptions } from './call-options.ts'
import type { ClientResponse } from './client-response.ts'
import { HttpClient } from './http-client.ts'

/** Settings of one request; `raiseForStatus` is false unless it is said. */
export type OneCallOptions = Omit<CallOptions, 'responseFormat'>

type Url = string | URL | HttpUrl

let shared: HttpClient<'bytes'> | undefined

/**
 * Sends GET. The response has its content with it: `text()`, `json()` and `bytes()` may be asked again
 * and again; `raiseForStatus()` throws for a status of 400 or more.
 *
 * A request that may be repeated is, up to three times, as with a client. Rejects with {NetworkError}
 * when there is no response or it does not come whole, {ConfigError} or {LocalProtocolError} for what
 * cannot be sent, or `signal.reason`.
 * @example
 * const response = await get('https://example.org/items', { params: { page: 1 } })
 * console.log(response.status, await response.json())
 */
export function get(url: Url, options?: OneCallOptions): Promise<ClientResponse> {
  return call('GET', url, options)
}

/** Sends POST; otherwise as `get`. It is not repeated once a server may have seen it. */
export function post(url: Url, options?: OneCallOptions): Promise<ClientResponse> {
  return call('POST', url, options)
}

/** Sends PUT; otherwise as `get`. */
export function put(url: Url, options?: OneCallOptions): Promise<ClientResponse> {
  return call('PUT', url, options)
}

/** Sends PATCH; otherwise as `post`. */
export function patch(url: Url, options?: OneCallOptions): Promise<ClientResponse> {
  return call('PATCH', url, options)
}

/** Sends DELETE; otherwise as `get`. Also exported as `delete`, which no function may be called. */
export function del(url: Url, options?: OneCallOptions): Promise<ClientResponse> {
  return call('DELETE', url, options)
}
export { del as delete }

/** Sends HEAD; otherwise as `get`. */
export function head(url: Url, options?: OneCallOptions): Promise<ClientResponse> {
  return call('HEAD', url, options)
}

/** Sends OPTIONS; otherwise as `get`. */
export function options(url: Url, settings?: OneCallOptions): Promise<ClientResponse> {
  return call('OPTIONS', url, settings)
}

async function call(
  method: string,
  url: Url,
  settings: OneCallOptions = {},
): Promise<ClientResponse> {
  shared ??= new HttpClient({ responseFormat: 'bytes', raiseForStatus: false })
  // Of the shared client: read as part of each attempt, so that one that breaks off is repeated.
  const response = await shared.request(method, url, { ...settings, responseFormat: 'bytes' })
    .response
  await response.bytes()
  return response
}

/** Which part a cache had in a response. */
import type { HttpResponse } from '../../transport/http-response.ts'
import type { ResponseBody } from '../../transport/response-body.ts'

/** fresh: nobody was asked · revalidated: the server confirmed it · stale: older than it should be */
export type CacheUse = 'fresh' | 'revalidated' | 'stale'

// By body, which changed copies of a response share.
const uses = new WeakMap<ResponseBody, CacheUse>()

/** How a response came from a cache; undefined for one that came from the server. */
export function cacheUseOf({ body }: Pick<HttpResponse, 'body'>): CacheUse | undefined {
  return uses.get(body)
}

/** Notes that a response came from a cache, and gives it back. */
export function markCacheUse(response: HttpResponse, use: CacheUse): HttpResponse {
  uses.set(response.body, use)
  return response
}

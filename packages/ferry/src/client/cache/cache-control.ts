/** Cache-Control (RFC 9111 §5.2): directives of requests and responses. */
import type { HeaderFields } from '../../protocol/semantics/header-fields.ts'

/** Directives by name, in lower case; the value is undefined where there is none. */
export type CacheDirectives = ReadonlyMap<string, string | undefined>

const DIRECTIVE = /[ \t,]*([^=," \t]+)(?:[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^," \t]*)))?/y

/**
 * Reads the directives of a message. Of a name that stands twice the first counts (RFC 9111 §4.2.1).
 * Pragma counts where there is no Cache-Control (§5.4).
 */
export function parseCacheControl(headers: HeaderFields): CacheDirectives {
  const text = headers.get('cache-control')
  if (text === undefined) {
    const asks = headers.get('pragma')?.toLowerCase().includes('no-cache') === true
    return asks ? new Map([['no-cache', undefined]]) : new Map()
  }
  const directives = new Map<string, string | undefined>()
  DIRECTIVE.lastIndex = 0
  for (let match = DIRECTIVE.exec(text); match !== null; match = DIRECTIVE.exec(text)) {
    const name = (match[1] as string).toLowerCase()
    if (!directives.has(name)) directives.set(name, match[2] ?? match[3])
  }
  return directives
}

/** Seconds that a directive gives; undefined where it is absent, 0 where it cannot be read (§4.2.1). */
export function secondsOf(directives: CacheDirectives, name: string): number | undefined {
  if (!directives.has(name)) return undefined
  const text = directives.get(name) ?? ''
  return /^\d+$/.test(text) ? Number(text) : 0
}

/** The field again, as simply as it can be written. */
export function formatCacheControl(directives: CacheDirectives): string {
  return [...directives]
    .map(([name, value]) => (value === undefined ? name : `${name}=${value.replaceAll(',', ' ')}`))
    .join(', ')
}

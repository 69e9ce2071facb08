/** What a request line carries instead of the URL's path and query, and who may (RFC 9112 §3.2). */
import { LocalProtocolError } from '../errors.ts'
import type { HttpUrl } from './http-url.ts'

const VISIBLE = /^[\x21-\x7e]+$/
// RFC 9110 §4.2.4: no credentials in a URL on the wire.
const ABSOLUTE = /^[a-z][a-z0-9+.-]*:\/\/(?![^/?]*@)[^/?]/i
const HOST_AND_PORT = /^(?:\[[0-9a-f:.]+\]|[^:/?@[\]]+):(\d{1,5})$/i
const MAX_PORT = 65_535

/**
 * Throws unless a target has the form that goes with its method.
 * @throws {LocalProtocolError}
 */
export function checkTarget(method: string, target: string): void {
  const expected = expectedForm(method, target)
  if (expected === undefined) return
  throw new LocalProtocolError(
    `Cannot send target ${JSON.stringify(target)} with ${method}: expected ${expected}`,
  )
}

/** Host and port, the port always: what CONNECT asks for (RFC 9112 §3.2.3). */
export function connectTarget({ origin }: HttpUrl): string {
  const { host, port } = origin
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** What a forwarding proxy is asked for (RFC 9112 §3.2.2): the whole URL, where it is not a tunnel. */
export function forwardTarget(
  method: string,
  target: string,
  { origin, authority }: HttpUrl,
): string {
  if (method === 'CONNECT' || ABSOLUTE.test(target)) return target
  const root = `${origin.scheme}://${authority}`
  // RFC 9112 §3.2.4: the last proxy turns a URL without a path back into `*`.
  return target === '*' ? root : root + target
}

/** What it should have been; undefined when it is right. */
function expectedForm(method: string, target: string): string | undefined {
  if (typeof target !== 'string' || !VISIBLE.test(target) || target.includes('#')) {
    return 'visible ASCII without a fragment'
  }
  if (method === 'CONNECT') return isHostAndPort(target) ? undefined : 'host:port'
  if (target.startsWith('/') || ABSOLUTE.test(target)) return undefined
  if (method !== 'OPTIONS') return '/path or a URL without credentials'
  return target === '*' ? undefined : '*, /path or a URL without credentials'
}

function isHostAndPort(target: string): boolean {
  const port = Number(HOST_AND_PORT.exec(target)?.[1] ?? 0)
  return port > 0 && port <= MAX_PORT
}

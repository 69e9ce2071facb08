/** Where a request goes: an immutable http or https URL, split into what the wire needs. */
import { ConfigError } from '../errors.ts'

/** Scheme, host and port: whom a connection is to (RFC 9110 §4.3.1). */
export interface Origin {
  readonly scheme: 'http' | 'https'
  /** A name or an address; IPv6 without brackets. */
  readonly host: string
  readonly port: number
  /** `https://example.org:443`: equal for equal origins. */
  readonly key: string
}

const DEFAULT_PORTS = { http: 80, https: 443 } as const

/** An http or https URL; the query is kept, the fragment dropped, credentials held apart. */
export class HttpUrl {
  /** The URL without credentials and fragment. */
  readonly href: string
  readonly origin: Origin
  /** Path and query: the target in origin form (RFC 9112 §3.2.1). */
  readonly target: string
  /** Host, and port unless it is the scheme's own: the value of Host. */
  readonly authority: string
  readonly credentials: { readonly username: string; readonly password: string } | undefined

  private constructor(url: URL, scheme: Origin['scheme']) {
    const port = url.port === '' ? DEFAULT_PORTS[scheme] : Number(url.port)
    const { hostname } = url
    const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
    this.origin = { scheme, host, port, key: `${scheme}://${hostname}:${port}` }
    this.target = url.pathname + url.search
    this.authority = url.host
    this.href = `${scheme}://${url.host}${this.target}`
    this.credentials =
      url.username === '' && url.password === ''
        ? undefined
        : { username: decodePercent(url.username), password: decodePercent(url.password) }
  }

  /**
   * Reads a URL; a relative one needs `base`.
   * @throws {ConfigError} when the text is no URL, or its scheme is not http or https
   */
  static parse(text: string | URL | HttpUrl, base?: HttpUrl): HttpUrl {
    if (text instanceof HttpUrl) return text
    let url: URL
    try {
      url = new URL(text, base?.href)
    } catch {
      throw new ConfigError(
        'url',
        `Cannot use ${JSON.stringify(redact(text))} as a URL: expected http://… or https://…`,
      )
    }
    const { protocol } = url
    if (protocol !== 'http:' && protocol !== 'https:') {
      throw new ConfigError('url', `Cannot fetch a ${protocol} URL: expected http:// or https://`)
    }
    return new HttpUrl(url, protocol === 'https:' ? 'https' : 'http')
  }

  /** The URL for messages and logs: a query, which may hold a token, is hidden. */
  get label(): string {
    return this.href.replace(/\?.*$/s, '?…')
  }

  toString(): string {
    return this.href
  }

  toJSON(): string {
    return this.href
  }
}

/** Hides what could be credentials in text that is not a URL: a password may hold `/` and `@`. */
function redact(text: string | URL): string {
  return String(text).replace(/\/\/.*@/s, '//…@')
}

function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

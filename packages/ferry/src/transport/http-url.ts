/**
 * Where a request goes: an immutable http or https URL, split into what the wire needs.
 *
 * Programs ask for the same few URLs again and again, and reading one costs more than all the rest
 * of making a request; so the last ones read are kept, never one with credentials.
 */
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
// Some kilobytes each.
const RECENT_URLS = 64
const MAX_RECENT_LENGTH = 512

/**
 * An http or https URL, frozen: the query is kept, the fragment dropped, credentials held apart.
 *
 * `origin.scheme`, `origin.host` and `origin.port` say whom to connect to, `target` what to ask for,
 * `authority` what to call the host. Text is read as browsers read it (WHATWG URL): names of hosts
 * are lower-cased and put into Punycode, what may not stand in a URL is percent-encoded, dot
 * segments are resolved.
 */
export class HttpUrl {
  /** The URL without credentials and fragment. */
  readonly href: string
  readonly origin: Origin
  /** Path and query: the target in origin form (RFC 9112 §3.2.1). */
  readonly target: string
  /** Host, and port unless it is the scheme's own: the value of Host. */
  readonly authority: string
  readonly credentials: { readonly username: string; readonly password: string } | undefined

  private constructor(url: URL) {
    // Cut from the whole, since `search` does not tell an empty query from none.
    const { href } = url
    const pathAt = href.indexOf('/', url.protocol.length + '//'.length)
    const fragmentAt = href.indexOf('#')
    const end = fragmentAt === -1 ? href.length : fragmentAt
    const { origin, authority, credentials } = readPlace(url, href.slice(0, pathAt))
    this.origin = origin
    this.authority = authority
    this.credentials = credentials
    this.target = href.slice(pathAt, end)
    this.href =
      credentials === undefined && end === href.length
        ? href
        : `${origin.scheme}://${authority}${this.target}`
    Object.freeze(this)
  }

  /**
   * Reads a URL; a relative one needs `base`.
   * @throws {ConfigError} when the text is no URL, or its scheme is not http or https
   */
  static parse(text: string | URL | HttpUrl, base?: HttpUrl): HttpUrl {
    if (text instanceof HttpUrl) return text
    if (typeof text !== 'string' || base !== undefined) return HttpUrl.#read(text, base)
    const slot = slotOf(text)
    const recent = recentUrls[slot]
    if (recent?.href === text) return recent
    const url = HttpUrl.#read(text)
    // Equal text has no credentials; our own copy of it does not keep a document alive, as a slice
    // that the caller cut from one would.
    if (url.href === text && text.length <= MAX_RECENT_LENGTH) recentUrls[slot] = url
    return url
  }

  static #read(text: string | URL, base?: HttpUrl): HttpUrl {
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
    return new HttpUrl(url)
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

const recentUrls = Array.from<HttpUrl | undefined>({ length: RECENT_URLS })

/** The slot of a text in `recentUrls`: texts that follow each other differ in their ends. */
function slotOf(text: string): number {
  const { length } = text
  let sum = length
  for (let index = Math.max(0, length - 4); index < length; index++) {
    sum = sum * 31 + text.charCodeAt(index)
  }
  return sum % RECENT_URLS
}

// What `console.log` shows: neither credentials nor query.
Object.defineProperty(HttpUrl.prototype, Symbol.for('nodejs.util.inspect.custom'), {
  value(this: HttpUrl): string {
    return `HttpUrl ${this.label}`
  },
})

/** Hides what could be credentials in text that is not a URL: a password may hold `/` and `@`. */
function redact(text: string | URL): string {
  return String(text)
    .replace(/^([a-z][a-z0-9+.-]*:)?\/*.*@/is, '$1//…@')
    .replace(/\?.*$/s, '?…')
}

/** What stands before the path. */
interface Place extends Pick<HttpUrl, 'origin' | 'authority' | 'credentials'> {
  /** `https://user:password@example.org`. */
  readonly text: string
}

/** The place read last: URLs come in runs of one origin. */
let recentPlace: Place | undefined

function readPlace(url: URL, text: string): Place {
  if (recentPlace?.text === text) return recentPlace
  const scheme = url.protocol === 'https:' ? 'https' : 'http'
  const { hostname, host: authority } = url
  const port = url.port === '' ? DEFAULT_PORTS[scheme] : Number(url.port)
  const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
  const origin = Object.freeze({ scheme, host, port, key: `${scheme}://${hostname}:${port}` })
  const place = { text, origin, authority, credentials: readCredentials(url) }
  if (place.credentials === undefined) recentPlace = place
  return place
}

function readCredentials({ username, password }: URL): HttpUrl['credentials'] {
  if (username === '' && password === '') return undefined
  return Object.freeze({ username: decodePercent(username), password: decodePercent(password) })
}

function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

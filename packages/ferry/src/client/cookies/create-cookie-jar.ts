/**
 * A cookie jar in memory. tough-cookie, which knows the rules and the public suffixes, is loaded with
 * the first cookie: a program whose servers set none never pays for it.
 */
import type * as Tough from 'tough-cookie'
import type { HttpUrl } from '../../transport/http-url.ts'
import type { CookieJar } from './cookie-jar.ts'
import { type CookieRecord, toCookieRecords } from './cookie-record.ts'

// RFC 6265 §6.1 asks for 4096 bytes a cookie at least, 50 cookies a domain and 3000 in all.
const MAX_LINE_LENGTH = 8192
const MAX_COOKIES_PER_DOMAIN = 150
const MAX_COOKIES = 3000

/** Settings of a jar. */
export interface CookieJarOptions {
  /** Cookies to begin with: those of a file, or what `toJSON()` of another jar gave, parsed. */
  readonly cookies?: readonly CookieRecord[] | undefined
}

/** A jar whose cookies can be listed. */
export interface MemoryCookieJar extends CookieJar {
  getCookies(url: HttpUrl): Promise<string>
  setCookies(url: HttpUrl, setCookieLines: readonly string[]): Promise<void>
  /** Every cookie that has not run out, those of the session too. They are secrets. */
  toJSON(): CookieRecord[]
  /** Forgets every cookie. */
  clear(): void
}

/**
 * Makes a jar. It follows RFC 6265 with the prefixes `__Host-` and `__Secure-`, takes no cookie for a
 * public suffix, and sends what is Secure over https and to this machine alone. SameSite means nothing to a client
 * without pages. It holds 150 cookies a domain and 3000 in all, then drops those used longest ago.
 * @throws {ConfigError} when `cookies` is no list of cookie records
 * @example
 * const jar = createCookieJar({ cookies: JSON.parse(text) })
 */
export function createCookieJar(options: CookieJarOptions = {}): MemoryCookieJar {
  return new LazyCookieJar(toCookieRecords(options.cookies ?? []))
}

class LazyCookieJar implements MemoryCookieJar {
  /** What is to be put into the jar when it is loaded. */
  #initial: readonly CookieRecord[]
  #jar: Tough.CookieJar | undefined
  #loading: Promise<Tough.CookieJar> | undefined

  constructor(initial: readonly CookieRecord[]) {
    this.#initial = initial
  }

  async getCookies(url: HttpUrl): Promise<string> {
    if (this.#jar === undefined && this.#initial.length === 0) return ''
    const jar = this.#jar ?? (await this.#load())
    return jar.getCookieStringSync(url.href)
  }

  async setCookies(url: HttpUrl, setCookieLines: readonly string[]): Promise<void> {
    const lines = setCookieLines.filter(({ length }) => length <= MAX_LINE_LENGTH)
    if (lines.length === 0) return
    const jar = this.#jar ?? (await this.#load())
    const domains = new Set<string>()
    for (const line of lines) {
      const cookie = jar.setCookieSync(line, url.href, { ignoreError: true })
      if (cookie === undefined) continue
      fixExpiry(cookie)
      domains.add(cookie.domain ?? '')
    }
    dropExcess(jar, domains)
  }

  toJSON(): CookieRecord[] {
    const now = Date.now()
    const records = this.#jar === undefined ? this.#initial : listCookies(this.#jar).map(toRecord)
    return records.filter(({ expiresAt }) => expiresAt === undefined || expiresAt > now)
  }

  clear(): void {
    this.#initial = []
    this.#jar?.removeAllCookiesSync()
  }

  async #load(): Promise<Tough.CookieJar> {
    this.#loading ??= import('tough-cookie').then((tough) => {
      const jar = new tough.CookieJar()
      for (const record of this.#initial) putRecord(tough, jar, record)
      this.#initial = []
      this.#jar = jar
      return jar
    })
    return this.#loading
  }
}

/** Puts a cookie where it was, past the checks of a response: those were made when it came. */
function putRecord(
  tough: typeof Tough,
  jar: Tough.CookieJar,
  { name, value, domain, path, hostOnly, secure, httpOnly, expiresAt }: CookieRecord,
): void {
  const expires = expiresAt === undefined ? 'Infinity' : new Date(expiresAt)
  const now = new Date()
  const cookie = new tough.Cookie({
    key: name,
    value,
    domain: tough.canonicalDomain(domain) ?? domain,
    path,
    hostOnly,
    secure,
    httpOnly,
    expires,
    creation: now,
    lastAccessed: now,
  })
  // The store in memory is synchronous; its callback has been called when it returns.
  jar.store.putCookie(cookie, () => {})
}

/** Every cookie, those that have run out too. */
function listCookies(jar: Tough.CookieJar): Tough.Cookie[] {
  let found: Tough.Cookie[] = []
  jar.store.getAllCookies((_, cookies) => (found = cookies ?? []))
  return found
}

function toRecord(cookie: Tough.Cookie): CookieRecord {
  const { key, value, domain, path, hostOnly, secure, httpOnly } = cookie
  const expiresAt = cookie.expiryTime()
  return {
    name: key,
    value,
    domain: domain ?? '',
    path: path ?? '/',
    hostOnly: hostOnly ?? false,
    secure,
    httpOnly,
    ...(expiresAt === undefined || expiresAt === Number.POSITIVE_INFINITY ? {} : { expiresAt }),
  }
}

/**
 * Turns Max-Age into an instant: tough-cookie counts it from the last use, so that a cookie in use
 * would never run out (RFC 6265 §5.2.2 counts from when it came).
 */
function fixExpiry(cookie: Tough.Cookie): void {
  if (cookie.maxAge === null) return
  cookie.expires = cookie.expiryDate(new Date()) ?? 'Infinity'
  cookie.maxAge = null
}

/** Drops what was used longest ago while one of the domains, or the jar, has too many. */
function dropExcess(jar: Tough.CookieJar, domains: ReadonlySet<string>): void {
  const all = listCookies(jar)
  const drop = (cookies: Tough.Cookie[], limit: number): void => {
    if (cookies.length <= limit) return
    const oldestFirst = cookies.toSorted((one, other) => lastUsed(one) - lastUsed(other))
    for (const { domain, path, key } of oldestFirst.slice(0, cookies.length - limit)) {
      jar.store.removeCookie(domain, path, key, () => {})
    }
  }
  for (const domain of domains) {
    const ofDomain = all.filter((cookie) => cookie.domain === domain)
    drop(ofDomain, MAX_COOKIES_PER_DOMAIN)
  }
  drop(all, MAX_COOKIES)
}

function lastUsed({ lastAccessed }: Tough.Cookie): number {
  return lastAccessed instanceof Date ? lastAccessed.getTime() : 0
}

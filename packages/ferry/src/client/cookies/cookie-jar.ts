/** The port to whatever keeps cookies; `createCookieJar()` makes one in memory. */
import type { HttpUrl } from '../../transport/http-url.ts'

/** Keeps cookies (RFC 6265). The client asks it for each request of a chain of redirections. */
export interface CookieJar {
  /** The value of Cookie for a request to that URL; empty for none. */
  getCookies(url: HttpUrl): string | Promise<string>
  /** Takes the values of all Set-Cookie lines of a response from that URL; unusable ones are dropped. */
  setCookies(url: HttpUrl, setCookieLines: readonly string[]): void | Promise<void>
}

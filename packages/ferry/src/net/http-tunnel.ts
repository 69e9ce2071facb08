/** What an HTTP proxy is told to open a tunnel (RFC 9110 §9.3.6), and how its answer is read. */
import { type ResponseEvents, ResponseParser } from '../protocol/http1/response-parser.ts'
import { formatRequestHead } from '../protocol/http1/request-writer.ts'
import { formatBasicCredentials } from '../protocol/semantics/basic-credentials.ts'
import type { ResponseHead } from '../protocol/semantics/response-head.ts'
import { type Negotiation, TunnelRefused } from './negotiation.ts'
import type { ProxySettings } from './proxy.ts'

const PROXY_AUTHENTICATION_REQUIRED = 407

/** One CONNECT. */
export class HttpTunnel implements Negotiation, ResponseEvents {
  readonly #head: string
  readonly #hasCredentials: boolean
  readonly #parser = new ResponseParser(this)

  /** `authority` is host and port, always both, with the brackets that IPv6 needs. */
  constructor({ authority, proxy }: { authority: string; proxy: ProxySettings }) {
    const { credentials } = proxy
    const headers =
      credentials === undefined
        ? proxy.headers
        : proxy.headers.with('Proxy-Authorization', formatBasicCredentials(credentials))
    this.#hasCredentials = headers.has('proxy-authorization')
    this.#head = formatRequestHead({
      method: 'CONNECT',
      target: authority,
      authority,
      headers,
      contentLength: undefined,
    })
    this.#parser.expect('CONNECT')
  }

  begin(): string {
    return this.#head
  }

  push(bytes: Buffer): Buffer | undefined {
    const taken = this.#parser.push(bytes)
    return this.#parser.state === 'tunnel' ? bytes.subarray(taken) : undefined
  }

  onHead({ status, statusText }: ResponseHead): void {
    // RFC 9110 §9.3.6: any 2xx switches to the tunnel, nothing else does.
    if (status >= 200 && status < 300) return
    const detail = { status, statusText }
    if (status === PROXY_AUTHENTICATION_REQUIRED) {
      const wanted = this.#hasCredentials ? 'other credentials' : 'credentials'
      throw new TunnelRefused(`the proxy wants ${wanted} (status ${status})`, { detail })
    }
    throw new TunnelRefused(`the proxy answers ${`${status} ${statusText}`.trim()}`, { detail })
  }

  onInformation(): void {}

  onContent(): void {}

  onComplete(): void {}
}

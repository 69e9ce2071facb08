/**
 * Proxies: what a URL says of one, and connections through it.
 * Owns the reading of the settings; the way through (proxy-tunnel.ts) is loaded when it is first
 * needed. User and password leave this file only as `credentials`, never in a message.
 */
import { ConfigError } from '../errors.ts'
import { HeaderFields, type HeaderFieldsInit } from '../protocol/semantics/header-fields.ts'
import type {
  ConnectOptions,
  NetworkBackend,
  NetworkStream,
  TlsOptions,
} from './network-backend.ts'
import type { TunnelSettings } from './proxy-tunnel.ts'

/** A proxy and how to speak to it. */
export interface ProxyOptions {
  /** `http:`, `https:`, `socks5:` (names resolved here) or `socks5h:` (by the proxy). */
  readonly url: string
  /** For the connection to an https proxy. @defaultValue the system's trust store */
  readonly tls?: TlsOptions | undefined
  /** Fields for CONNECT, besides Host and those of the credentials. */
  readonly headers?: HeaderFieldsInit | undefined
}

/** What a proxy lets itself be told who asks. */
export interface ProxyCredentials {
  readonly username: string
  readonly password: string
}

/** A proxy, read and checked; immutable. */
export interface ProxySettings {
  readonly type: 'http' | 'https' | 'socks5'
  /** A name or an address; IPv6 without brackets. */
  readonly host: string
  readonly port: number
  readonly credentials: ProxyCredentials | undefined
  /** Names are resolved here, not by the proxy: `socks5:` as against `socks5h:`. */
  readonly resolveLocally: boolean
  /** For the connection to an https proxy. */
  readonly tls: TlsOptions
  /** Fields for CONNECT. */
  readonly headers: HeaderFields
}

const TYPES: Readonly<Record<string, { type: ProxySettings['type']; defaultPort: number }>> = {
  'http:': { type: 'http', defaultPort: 80 },
  'https:': { type: 'https', defaultPort: 443 },
  'socks5:': { type: 'socks5', defaultPort: 1080 },
  'socks5h:': { type: 'socks5', defaultPort: 1080 },
}
// A name or an IPv4 address, or an IPv6 address in brackets.
const HOST = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])$/i
// RFC 1929 §2 and RFC 7617 §2: what one of the two cannot carry, proxies of neither sort know.
const MAX_CREDENTIAL_BYTES = 255
/** Fields that a caller may not set: they are the tunnel's own. */
const OWN_FIELDS: readonly string[] = ['host', 'content-length', 'transfer-encoding']

/**
 * Reads the settings of a proxy.
 * @throws {ConfigError} for what is not the URL of a proxy; the message shows no credentials
 */
export function parseProxy(options: string | ProxyOptions): ProxySettings {
  const { url: text, tls = {}, headers } = typeof options === 'string' ? { url: options } : options
  const url = URL.parse(text)
  // What could not be read cannot be shown either: it may hold a password anywhere.
  if (url === null) throw unusable('its URL cannot be read')
  const known = Object.hasOwn(TYPES, url.protocol) ? TYPES[url.protocol] : undefined
  if (known === undefined) {
    throw unusable(`expected http:, https:, socks5: or socks5h:, got ${url.protocol}`)
  }
  if (!HOST.test(url.hostname)) throw unusable('its URL names no host')
  if (url.port === '0') throw unusable('its URL names port 0')
  if ((url.pathname !== '' && url.pathname !== '/') || url.search !== '' || url.hash !== '') {
    throw unusable('its URL has a path, a query or a fragment')
  }
  return Object.freeze({
    type: known.type,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1').toLowerCase(),
    port: url.port === '' ? known.defaultPort : Number(url.port),
    credentials: parseCredentials(url),
    resolveLocally: url.protocol === 'socks5:',
    tls,
    headers: parseFields(headers),
  })
}

/**
 * Connects through a proxy: to the proxy, over TLS for an https one, then through it to the host
 * that `options` names, then over TLS to that host when `options.tls` is given.
 * `options.timeoutMs` bounds all of it; whenever it fails or is aborted nothing is left open.
 * @throws {ConnectError} proxy-failed when the proxy does not let us through, else as `connect()`
 * @throws {TimeoutError} phase `connect`
 * @throws {ConfigError} when an option of TLS cannot be used
 */
export async function connectThroughProxy(
  backend: NetworkBackend,
  proxy: ProxySettings,
  options: ConnectOptions,
  settings?: TunnelSettings,
): Promise<NetworkStream> {
  const { openTunnel } = await import('./proxy-tunnel.ts')
  return openTunnel({ backend, proxy, options, settings })
}

function parseCredentials(url: URL): ProxyCredentials | undefined {
  if (url.username === '' && url.password === '') return undefined
  const username = decode(url.username)
  const password = decode(url.password)
  if (username === '') throw unusable('its URL has a password without a user')
  if (url.protocol.startsWith('http') && username.includes(':')) {
    // RFC 7617 §2: the colon ends the user name.
    throw unusable('its user name has a colon')
  }
  for (const text of [username, password]) {
    if (Buffer.byteLength(text) > MAX_CREDENTIAL_BYTES) {
      throw unusable(`its user name or password is longer than ${MAX_CREDENTIAL_BYTES} bytes`)
    }
    // RFC 7617 §2
    if (/[\x00-\x1f\x7f]/.test(text)) {
      throw unusable('its user name or password has a control character')
    }
  }
  return Object.freeze({ username, password })
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw unusable('its user name or password is not percent-encoded UTF-8')
  }
}

function parseFields(init: HeaderFieldsInit | undefined): HeaderFields {
  let fields: HeaderFields
  try {
    fields = HeaderFields.from(init)
  } catch (cause) {
    throw new ConfigError('proxy.headers', (cause as Error).message)
  }
  const own = OWN_FIELDS.find((name) => fields.has(name))
  if (own === undefined) return fields
  throw new ConfigError(
    'proxy.headers',
    `Cannot send the field ${own} to a proxy: it is set already`,
  )
}

function unusable(why: string): ConfigError {
  return new ConfigError('proxy', `Cannot use the proxy: ${why}`)
}

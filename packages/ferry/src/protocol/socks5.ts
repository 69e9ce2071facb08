/**
 * The client's side of SOCKS 5 (RFC 1928) with user name and password (RFC 1929): bytes in, bytes to
 * send out, no I/O. Owns the negotiation of one CONNECT; what follows it is not its own.
 *
 *     method → (password) → reply → open
 *
 * Whatever the proxy may not send is a RemoteProtocolError; that it refuses is an outcome.
 */
import { LocalProtocolError, RemoteProtocolError } from '../errors.ts'

/** What a negotiation is for. */
export interface Socks5Request {
  /** An IPv4 or IPv6 address without brackets, or a name for the proxy to resolve. */
  readonly host: string
  readonly port: number
  readonly credentials?: { readonly username: string; readonly password: string } | undefined
}

/** What to do next; `taken` counts the bytes used up. */
export type Socks5Progress =
  /** Feed more. */
  | { readonly type: 'more' }
  | { readonly type: 'send'; readonly bytes: Uint8Array; readonly taken: number }
  /** The way is free; the bytes after `taken` are the peer's. */
  | { readonly type: 'open'; readonly taken: number }
  | { readonly type: 'refused'; readonly refusal: Socks5Refusal }

/** Why the proxy does not connect, in words that follow a colon. */
export interface Socks5Refusal {
  readonly step: 'method' | 'password' | 'reply'
  /** The reply code (RFC 1928 §6), where one was given. */
  readonly code: number | undefined
  readonly reason: string
}

export type Socks5State = 'method' | 'password' | 'reply' | 'open' | 'refused'

const VERSION = 5
const PASSWORD_VERSION = 1
const NO_AUTHENTICATION = 0x00
const USERNAME_PASSWORD = 0x02
const NO_ACCEPTABLE_METHOD = 0xff
const CONNECT = 1
const IPV4 = 1
const NAME = 3
const IPV6 = 4
const MAX_TEXT_BYTES = 255
// RFC 1928 §6
const REASONS: readonly string[] = [
  'succeeded',
  'the proxy failed',
  'the rules of the proxy forbid it',
  'network unreachable',
  'host unreachable',
  'connection refused',
  'the time to live expired',
  'the proxy cannot connect',
  'the proxy does not know this type of address',
]

/** Negotiates one CONNECT: send `greeting()`, then give `push()` all that has come and is not taken. */
export class Socks5Client {
  readonly #request: Uint8Array
  readonly #login: Uint8Array | undefined
  #state: Socks5State = 'method'

  /** @throws {LocalProtocolError} when host, port or credentials cannot be sent */
  constructor({ host, port, credentials }: Socks5Request) {
    this.#request = encodeRequest(host, port)
    this.#login = credentials && encodeLogin(credentials)
  }

  get state(): Socks5State {
    return this.#state
  }

  /** The methods that we know (RFC 1928 §3). */
  greeting(): Uint8Array {
    return this.#login === undefined
      ? Uint8Array.of(VERSION, 1, NO_AUTHENTICATION)
      : Uint8Array.of(VERSION, 2, NO_AUTHENTICATION, USERNAME_PASSWORD)
  }

  /**
   * Takes the next message from the beginning of `bytes`, once it is whole.
   * @throws {RemoteProtocolError} when the bytes are not SOCKS 5
   */
  push(bytes: Uint8Array): Socks5Progress {
    switch (this.#state) {
      case 'method':
        return this.#readMethod(bytes)
      case 'password':
        return this.#readPasswordStatus(bytes)
      case 'reply':
        return this.#readReply(bytes)
      case 'open':
      case 'refused':
        throw new LocalProtocolError(`Cannot take bytes while in state ${this.#state}`)
      default:
        throw unreachable(this.#state)
    }
  }

  #readMethod(bytes: Uint8Array): Socks5Progress {
    const [version, method] = bytes
    checkVersion(version, VERSION)
    if (method === undefined) return { type: 'more' }
    if (method === NO_AUTHENTICATION) return this.#send('reply', this.#request)
    if (method === USERNAME_PASSWORD && this.#login !== undefined) {
      return this.#send('password', this.#login)
    }
    if (method === NO_ACCEPTABLE_METHOD) {
      const wanted = this.#login === undefined ? 'credentials' : 'other credentials'
      return this.#refuse('method', undefined, `the proxy wants ${wanted}`)
    }
    throw garbled(`method ${method} was not offered`)
  }

  /** RFC 1929 §2: zero is success, all else failure. */
  #readPasswordStatus(bytes: Uint8Array): Socks5Progress {
    const [version, status] = bytes
    checkVersion(version, PASSWORD_VERSION)
    if (status === undefined) return { type: 'more' }
    if (status === 0) return this.#send('reply', this.#request)
    return this.#refuse('password', undefined, 'the proxy wants other credentials')
  }

  /** RFC 1928 §6: VER REP RSV ATYP BND.ADDR BND.PORT */
  #readReply(bytes: Uint8Array): Socks5Progress {
    const [version, code, reserved] = bytes
    checkVersion(version, VERSION)
    if (code === undefined) return { type: 'more' }
    if (code !== 0) {
      // The rest tells nothing, and some proxies leave it out.
      return this.#refuse('reply', code, REASONS[code] ?? `the proxy failed with code ${code}`)
    }
    if (reserved !== undefined && reserved !== 0) throw garbled(`reserved byte is ${reserved}`)
    const length = replyLength(bytes)
    if (length === undefined || bytes.length < length) return { type: 'more' }
    this.#state = 'open'
    return { type: 'open', taken: length }
  }

  /** Each of the messages that are answered by one of ours is two bytes long. */
  #send(state: Socks5State, bytes: Uint8Array): Socks5Progress {
    this.#state = state
    return { type: 'send', bytes, taken: 2 }
  }

  #refuse(step: Socks5Refusal['step'], code: number | undefined, reason: string): Socks5Progress {
    this.#state = 'refused'
    return { type: 'refused', refusal: { step, code, reason } }
  }
}

/** Undefined while it cannot be known. */
function replyLength(bytes: Uint8Array): number | undefined {
  const [, , , type, nameLength] = bytes
  switch (type) {
    case undefined:
      return undefined
    case IPV4:
      return 4 + 4 + 2
    case IPV6:
      return 4 + 16 + 2
    case NAME:
      return nameLength === undefined ? undefined : 4 + 1 + nameLength + 2
    default:
      throw garbled(`address type ${type} is unknown`)
  }
}

function checkVersion(version: number | undefined, expected: number): void {
  if (version === undefined || version === expected) return
  throw garbled(`expected version ${expected}, got ${version}`)
}

/** RFC 1928 §4: VER CMD RSV ATYP DST.ADDR DST.PORT */
function encodeRequest(host: string, port: number): Uint8Array {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new LocalProtocolError(`Cannot ask a proxy for port ${port}`)
  }
  const head = [VERSION, CONNECT, 0]
  return Uint8Array.from([...head, ...encodeHost(host), port >> 8, port & 0xff])
}

function encodeHost(host: string): number[] {
  const ipv4 = parseIpv4(host)
  if (ipv4 !== undefined) return [IPV4, ...ipv4]
  if (host.includes(':')) return [IPV6, ...parseIpv6(host)]
  return [NAME, ...encodeText('host name', host)]
}

/** RFC 1929 §2: VER ULEN UNAME PLEN PASSWD */
function encodeLogin({ username, password }: { username: string; password: string }): Uint8Array {
  return Uint8Array.from([
    PASSWORD_VERSION,
    ...encodeText('user name', username),
    ...encodeText('password', password),
  ])
}

/** One byte of length, then UTF-8. The text may be a secret, so it stays out of the message. */
function encodeText(what: string, text: string): number[] {
  const bytes = new TextEncoder().encode(text)
  if (bytes.length > MAX_TEXT_BYTES || (bytes.length === 0 && what !== 'password')) {
    throw new LocalProtocolError(
      `Cannot send a ${what} of ${bytes.length} bytes to a SOCKS proxy: 1 to ${MAX_TEXT_BYTES} fit`,
    )
  }
  return [bytes.length, ...bytes]
}

function parseIpv4(text: string): number[] | undefined {
  if (!/^(?:(?:0|[1-9][0-9]{0,2})(?:\.|$)){4}$/.test(text) || text.endsWith('.')) return undefined
  const bytes = text.split('.').map(Number)
  return bytes.every((byte) => byte < 256) ? bytes : undefined
}

/** RFC 4291 §2.2, all three forms. */
function parseIpv6(text: string): number[] {
  const halves = text.split('::').map(parseGroups)
  const [before = [], after] = halves
  const missing = 16 - before.length - (after?.length ?? 0)
  // `::` stands for at least one group of zeros; without it all must be there.
  const fits = after === undefined ? missing === 0 : missing >= 2
  if (halves.length > 2 || !fits) throw notIpv6(text)
  return [...before, ...Array.from({ length: missing }, () => 0), ...(after ?? [])]
}

function parseGroups(text: string): number[] {
  if (text === '') return []
  const groups = text.split(':')
  return groups.flatMap((group, index) => {
    const ipv4 = index === groups.length - 1 ? parseIpv4(group) : undefined
    if (ipv4 !== undefined) return ipv4
    if (!/^[0-9a-f]{1,4}$/i.test(group)) throw notIpv6(text)
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 0xff]
  })
}

function notIpv6(text: string): LocalProtocolError {
  return new LocalProtocolError(
    `Cannot ask a proxy for ${JSON.stringify(text)}: not an IPv6 address`,
  )
}

function garbled(why: string): RemoteProtocolError {
  return new RemoteProtocolError(`Cannot read the answer of the SOCKS proxy: ${why}`)
}

function unreachable(state: never): Error {
  return new Error(`Unreachable state ${String(state)}`)
}

/**
 * The opening handshake of a WebSocket, seen from the client: what is asked, and whether the answer
 * may be believed (RFC 6455 §4.1, RFC 8441 §5, RFC 7692 §7.1).
 *
 * Pure, but for the random key. Opens and closes nothing.
 */
import { createHash, randomBytes } from 'node:crypto'
import { ConfigError, RemoteProtocolError } from '../../errors.ts'
import { formatBasicCredentials } from '../../protocol/semantics/basic-credentials.ts'
import { parseTokenList } from '../../protocol/semantics/grammar.ts'
import { HeaderFields, type HeaderFieldsInit } from '../../protocol/semantics/header-fields.ts'
import type { ResponseHead } from '../../protocol/semantics/response-head.ts'
import { HttpRequest } from '../http-request.ts'
import { HttpUrl } from '../http-url.ts'
import type { PerMessageDeflateOptions } from './websocket-options.ts'
import {
  type ExtensionParams,
  formatExtensions,
  type PerMessageDeflate,
  parseExtensions,
  type RawExtensionParams,
} from './ws-frames.ts'

/** What we offer. */
export interface HandshakeOffer {
  readonly request: HttpRequest
  readonly key: string
  readonly protocols: readonly string[]
  /** Undefined when compression is not offered. */
  readonly deflate: PerMessageDeflate | undefined
  readonly deflateOptions: PerMessageDeflateOptions | undefined
}

/** What was agreed. */
export interface HandshakeResult {
  /** Undefined when none was offered. */
  readonly protocol: string | undefined
  /** As it would stand in a field; empty without an extension. */
  readonly extensions: string
  /** Whether messages may be compressed. */
  readonly compresses: boolean
}

// RFC 6455 §1.3
const KEY_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const KEY_BYTES = 16
const DEFLATE = 'permessage-deflate'
/** Fields that are the handshake's own. */
const RESERVED = [
  'Connection',
  'Upgrade',
  'Sec-WebSocket-Key',
  'Sec-WebSocket-Version',
  'Sec-WebSocket-Protocol',
  'Sec-WebSocket-Extensions',
  'Sec-WebSocket-Accept',
]

/**
 * Reads a ws, wss, http or https URL. The fragment, which RFC 6455 §3 forbids, is dropped.
 * @throws {ConfigError} when it is something else
 */
export function parseWebSocketUrl(url: string | URL | HttpUrl): HttpUrl {
  if (url instanceof HttpUrl) return url
  return HttpUrl.parse(String(url).replace(/^\s*ws(s?):/i, 'http$1:'))
}

/**
 * Makes the request of a handshake, with a new key.
 * @throws {ConfigError} when `headers` has a field that is the handshake's own
 */
export function createHandshake(
  url: HttpUrl,
  offer: Pick<HandshakeOffer, 'protocols' | 'deflate' | 'deflateOptions'> & {
    readonly headers?: HeaderFieldsInit | undefined
  },
): HandshakeOffer {
  const headers = HeaderFields.from(offer.headers)
  const reserved = RESERVED.find((name) => headers.has(name))
  if (reserved !== undefined) {
    throw new ConfigError('headers', `Cannot send field ${reserved}: the handshake has its own`)
  }
  const key = randomBytes(KEY_BYTES).toString('base64')
  const lines: [string, string][] = [
    ['Connection', 'Upgrade'],
    ['Upgrade', 'websocket'],
    ['Sec-WebSocket-Version', '13'],
    ['Sec-WebSocket-Key', key],
  ]
  const { protocols, deflate } = offer
  if (protocols.length > 0) lines.push(['Sec-WebSocket-Protocol', protocols.join(', ')])
  if (deflate !== undefined) {
    lines.push(['Sec-WebSocket-Extensions', formatExtensions({ [DEFLATE]: deflate.offer() })])
  }
  if (url.credentials !== undefined && !headers.has('authorization')) {
    lines.push(['Authorization', formatBasicCredentials(url.credentials)])
  }
  const request = new HttpRequest('GET', url, { headers: [...lines, ...headers] })
  return { ...offer, request, key }
}

/** What the server has to answer to a key (RFC 6455 §4.2.2, item 5.4). */
export function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}${KEY_SUFFIX}`).digest('base64')
}

/**
 * Checks the head of a response that switches protocols.
 * @throws {RemoteProtocolError} when it does not answer what was asked
 */
export function checkHandshake(offer: HandshakeOffer, head: ResponseHead): HandshakeResult {
  const where = offer.request.url.label
  // RFC 8441 §5: over HTTP/2 the stream itself proves what these three fields prove here.
  if (head.version !== '2') checkSwitch(offer, head, where)
  return { protocol: checkProtocol(offer, head, where), ...checkExtensions(offer, head, where) }
}

/** RFC 6455 §4.1, what the client must validate, items 2 to 4. */
function checkSwitch({ key }: HandshakeOffer, { headers }: ResponseHead, where: string): void {
  const upgrade = headers.get('upgrade')
  if (upgrade?.toLowerCase() !== 'websocket') {
    throw refusal(where, `field Upgrade is ${show(upgrade)}, expected "websocket"`)
  }
  const connection = headers.get('connection')
  if (!parseTokenList(connection ?? '').includes('upgrade')) {
    throw refusal(where, `field Connection is ${show(connection)}, expected "Upgrade"`)
  }
  const accept = headers.get('sec-websocket-accept')
  if (accept !== acceptOf(key)) {
    throw refusal(where, `Sec-WebSocket-Accept is ${show(accept)}, which does not answer our key`)
  }
}

/**
 * RFC 6455 §4.1, item 6. A server that chooses none of those offered is refused as well, as browsers
 * do: both sides would speak without knowing what.
 */
function checkProtocol(
  { protocols }: HandshakeOffer,
  { headers }: ResponseHead,
  where: string,
): string | undefined {
  const chosen = headers.get('sec-websocket-protocol')
  if (chosen === undefined && protocols.length === 0) return undefined
  if (chosen !== undefined && protocols.includes(chosen)) return chosen
  const offered = protocols.length === 0 ? 'none' : protocols.join(', ')
  throw refusal(where, `subprotocol ${show(chosen)} was chosen, offered: ${offered}`)
}

/** RFC 6455 §4.1, item 5; RFC 7692 §7.1. */
function checkExtensions(
  { deflate, deflateOptions }: HandshakeOffer,
  { headers }: ResponseHead,
  where: string,
): Pick<HandshakeResult, 'extensions' | 'compresses'> {
  const text = headers.get('sec-websocket-extensions')
  if (text === undefined) return { extensions: '', compresses: false }
  const chosen = parse(text, where)
  const [answer, second] = chosen[DEFLATE] ?? []
  if (deflate === undefined || answer === undefined || Object.keys(chosen).length > 1) {
    throw refusal(where, `extensions ${show(text)} were chosen that were not offered`)
  }
  if (second !== undefined) throw refusal(where, `${DEFLATE} was chosen twice`)
  try {
    const params = deflate.accept([answer])
    checkPromises(params, deflateOptions ?? {})
    return { extensions: formatExtensions({ [DEFLATE]: params }), compresses: true }
  } catch (error) {
    throw refusal(where, `extension ${show(text)}: ${(error as Error).message}`)
  }
}

/** A server that takes an offer takes all of it (RFC 7692 §7.1.1.1, §7.1.2.1). */
function checkPromises(params: ExtensionParams, asked: PerMessageDeflateOptions): void {
  if (asked.serverNoContextTakeover === true && params['server_no_context_takeover'] !== true) {
    throw new Error('server_no_context_takeover was asked for and is missing')
  }
  const { serverMaxWindowBits = 15 } = asked
  const bits = params['server_max_window_bits'] ?? 15
  if (typeof bits !== 'number' || bits > serverMaxWindowBits) {
    throw new Error(`server_max_window_bits ${bits} is above the ${serverMaxWindowBits} asked for`)
  }
}

function parse(text: string, where: string): Record<string, RawExtensionParams[]> {
  try {
    return parseExtensions(text)
  } catch (error) {
    throw refusal(where, `extensions ${show(text)}: ${(error as Error).message}`)
  }
}

function refusal(where: string, reason: string): RemoteProtocolError {
  return new RemoteProtocolError(`Cannot open a WebSocket to ${where}: ${reason}`)
}

function show(value: string | undefined): string {
  return value === undefined ? 'missing' : JSON.stringify(value)
}

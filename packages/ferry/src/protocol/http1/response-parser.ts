/**
 * Reads HTTP/1.1 responses from bytes (RFC 9112): bytes in, events out, no I/O, no clock.
 *
 * Owns the framing of one response at a time: `expect(method)` starts it, `push(bytes)` feeds it,
 * `finish()` tells that the peer closed. Whatever could be read in two ways is a RemoteProtocolError:
 * a bare LF or CR, obs-fold, space before the colon, two lengths, a length beside a transfer coding,
 * a transfer coding other than exactly `chunked`.
 *
 *     idle → head → (1xx: head) → length | chunk-size | until-close → complete → idle
 *                  chunk-size → chunk-data → chunk-end → chunk-size … → trailers → complete
 *                  head (101, or 2xx to CONNECT) → tunnel
 */
import { LocalProtocolError, RemoteProtocolError } from '../../errors.ts'
import { HeaderFields } from '../semantics/header-fields.ts'
import type { ResponseHead } from '../semantics/response-head.ts'
import { isToken, parseTokenList, trimOws } from '../semantics/grammar.ts'

/** What the parser tells, in the order of the wire. */
export interface ResponseEvents {
  /** A 1xx response before the final one. */
  onInformation(head: ResponseHead): void
  /** The final head; `length` is that of the content in bytes, undefined when unknown. */
  onHead(head: ResponseHead, length: number | undefined): void
  /** Content with the transfer coding removed: `bytes[start]` up to, not including, `bytes[end]`. */
  onContent(bytes: Buffer, start: number, end: number): void
  onComplete(trailers: HeaderFields): void
}

/** Bounds on what a peer may make us hold. */
export interface ParserLimits {
  /** Bytes of a head or trailer section, empty line included, or of one line's chunk extensions. */
  readonly maxHeadBytes: number
  /** Field lines in one head or trailer section. */
  readonly maxFields: number
}

export type ParserState =
  | 'idle'
  | 'head'
  | 'length'
  | 'until-close'
  | 'chunk-size'
  | 'chunk-data'
  | 'chunk-end'
  | 'trailers'
  | 'complete'
  | 'tunnel'

// 64 KiB holds what large single-sign-on cookies need; node:http allows 16 KiB, curl 300 KiB.
export const DEFAULT_PARSER_LIMITS: ParserLimits = { maxHeadBytes: 65_536, maxFields: 256 }

// A peer may send 1xx responses as it likes (RFC 9110 §15.2), but not for ever.
const MAX_INFORMATION_RESPONSES = 64
const STATUS_LINE = /HTTP\/1\.([01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?\r\n/y
// Whole field lines (RFC 9112 §5), the name a token: no bare CR or LF, no other control character, no
// blank before the colon, no line that continues the one before it. One pass decides over all of them.
const FIELD_LINES = /(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*$/y
// Whole lines of HTAB, SP, VCHAR and obs-text, none of which continues the one before it.
const LINES = /^(?:[\t\x20-\x7e\x80-\xff]*\r\n(?![\t ]))*$/
const HEAD_START = Buffer.from('HTTP/1.', 'latin1')
const HEAD_END = '\r\n\r\n'
const CRLF = Buffer.from('\r\n', 'latin1')
const CR = 0x0d
const LF = 0x0a
const SEMICOLON = 0x3b
const HTAB = 0x09
const SP = 0x20
const DEL = 0x7f

/** Where in the line of a chunk's size the parser stands. */
type SizeLinePart = 'first-digit' | 'digits' | 'blanks' | 'extension' | 'line-feed'

/** Reads one response after another from the bytes of a connection. */
export class ResponseParser {
  readonly #events: ResponseEvents
  readonly #limits: ParserLimits
  #state: ParserState = 'idle'
  #method = 'GET'
  #keepAlive = false
  #keepAliveField: string | undefined
  /** Bytes of a head or trailer section that is not whole yet. */
  #pending: Buffer | undefined
  #pendingLength = 0
  /** Bytes of content still to come in this chunk or message. */
  #remaining = 0
  #sizeLine: SizeLinePart = 'first-digit'
  #extensionBytes = 0
  #informationResponses = 0

  constructor(events: ResponseEvents, limits: ParserLimits = DEFAULT_PARSER_LIMITS) {
    this.#events = events
    this.#limits = limits
  }

  get state(): ParserState {
    return this.#state
  }

  /** Whether the connection may carry another exchange after this one (RFC 9112 §9.3). */
  get keepAlive(): boolean {
    return this.#keepAlive
  }

  /** The value of Keep-Alive in the final head; undefined without one. */
  get keepAliveField(): string | undefined {
    return this.#keepAliveField
  }

  /** Makes ready for the response to a request with this method. */
  expect(method: string): void {
    if (this.#state !== 'idle' && this.#state !== 'complete') {
      throw new LocalProtocolError(`Cannot expect a response while in state ${this.#state}`)
    }
    this.#state = 'head'
    this.#method = method
    this.#keepAlive = false
    this.#informationResponses = 0
  }

  /**
   * Takes the next bytes.
   * @returns how many were taken; fewer than given only when the response is complete or has become
   * a tunnel: the rest is not part of it
   * @throws {RemoteProtocolError} when the bytes break the protocol; the parser is of no use then
   */
  push(bytes: Buffer): number {
    let position = 0
    while (position < bytes.length) {
      switch (this.#state) {
        case 'head':
        case 'trailers':
          position = this.#readSection(bytes, position)
          break
        case 'length':
        case 'chunk-data':
          position = this.#readContent(bytes, position)
          break
        case 'until-close':
          this.#events.onContent(bytes, position, bytes.length)
          return bytes.length
        case 'chunk-size':
          position = this.#readChunkSize(bytes, position)
          break
        case 'chunk-end':
          position = this.#readChunkEnd(bytes, position)
          break
        case 'idle':
        case 'complete':
        case 'tunnel':
          return position
        default:
          throw unreachable(this.#state)
      }
    }
    return position
  }

  /**
   * Takes the end of the peer's bytes.
   * @returns true when the response is whole, false when it was cut short
   */
  finish(): boolean {
    if (this.#state === 'until-close') this.#complete(HeaderFields.empty)
    return this.#state === 'complete' || this.#state === 'idle'
  }

  /** Reads a head or a trailer section up to its empty line, over as many pushes as it takes. */
  #readSection(bytes: Buffer, start: number): number {
    if (this.#pending === undefined) {
      const end = bytes.indexOf(HEAD_END, start, 'latin1')
      if (end !== -1) {
        this.#takeSection(bytes.toString('latin1', start, end + 2))
        return end + HEAD_END.length
      }
    }
    const { maxHeadBytes } = this.#limits
    const held = this.#pendingLength
    const more = Math.min(bytes.length - start, maxHeadBytes + HEAD_END.length - held)
    this.#appendPending(bytes, start, start + more)
    const section = (this.#pending as Buffer).subarray(0, this.#pendingLength)
    const end = section.indexOf(HEAD_END, Math.max(0, held - 3), 'latin1')
    if (end === -1) {
      this.#checkUnfinished(section, held)
      return start + more
    }
    this.#pending = undefined
    this.#pendingLength = 0
    this.#takeSection(section.toString('latin1', 0, end + 2))
    return start + end + HEAD_END.length - held
  }

  /** Doubles the memory when it is full, so that a head that comes byte by byte costs no more. */
  #appendPending(bytes: Buffer, start: number, end: number): void {
    const length = this.#pendingLength + end - start
    if (this.#pending === undefined || length > this.#pending.length) {
      const grown = Buffer.allocUnsafe(Math.max(length, 2 * this.#pendingLength, 1024))
      this.#pending?.copy(grown, 0, 0, this.#pendingLength)
      this.#pending = grown
    }
    bytes.copy(this.#pending, this.#pendingLength, start, end)
    this.#pendingLength = length
  }

  /** Refuses early what cannot become a section, so that nobody waits for its end in vain. */
  #checkUnfinished(section: Buffer, checked: number): void {
    const { maxHeadBytes } = this.#limits
    if (section.length > maxHeadBytes) throw sectionTooLarge(maxHeadBytes)
    if (this.#state === 'head') checkHeadStart(section)
    for (let at = section.indexOf(LF, checked); at !== -1; at = section.indexOf(LF, at + 1)) {
      if (section[at - 1] !== CR)
        throw new RemoteProtocolError('Cannot read the response head: bare LF')
    }
  }

  #takeSection(text: string): void {
    // The empty line counts too: the limit must not depend on how the bytes were split.
    const { maxHeadBytes } = this.#limits
    if (text.length + CRLF.length > maxHeadBytes) throw sectionTooLarge(maxHeadBytes)
    if (this.#state === 'trailers') {
      // `text` starts with the CRLF that the section was seeded with.
      this.#complete(this.#parseFields(text, CRLF.length).headers)
    } else {
      this.#takeHead(text)
    }
  }

  #takeHead(text: string): void {
    STATUS_LINE.lastIndex = 0
    const line = STATUS_LINE.exec(text)
    if (line === null) {
      if (!LINES.test(text)) throw badLines()
      const got = quote(text.slice(0, text.indexOf('\r\n')))
      throw new RemoteProtocolError(
        `Cannot read the response: expected an HTTP/1.1 status line, got ${got}`,
      )
    }
    const status = Number(line[2])
    const version = line[1] === '1' ? '1.1' : '1.0'
    const { headers, framing } = this.#parseFields(text, line[0].length)
    const head: ResponseHead = { status, statusText: line[3] ?? '', version, headers }
    if (status < 200 && status !== 101) {
      this.#takeInformation(head)
    } else {
      this.#frame(head, framing)
    }
  }

  #takeInformation(head: ResponseHead): void {
    this.#informationResponses++
    if (this.#informationResponses > MAX_INFORMATION_RESPONSES) {
      throw new RemoteProtocolError(
        `Cannot read the response: more than ${MAX_INFORMATION_RESPONSES} informational ones came first`,
      )
    }
    this.#events.onInformation(head)
  }

  /** Decides how long the content is (RFC 9112 §6.3, in its order). */
  #frame(head: ResponseHead, framing: Framing): void {
    const { status, version } = head
    if (status === 101 || (this.#method === 'CONNECT' && status >= 200 && status < 300)) {
      this.#state = 'tunnel'
      this.#events.onHead(head, undefined)
      return
    }
    this.#keepAlive = keepsAlive(version, framing.connection)
    this.#keepAliveField = framing.keepAlive
    const length = parseContentLength(framing)
    checkTransferCoding(framing, version)
    if (this.#method === 'HEAD' || status === 204 || status === 304) {
      this.#startContent(head, 'length', 0, this.#method === 'HEAD' ? length : 0)
    } else if (framing.transferEncoding !== undefined) {
      this.#startContent(head, 'chunk-size', 0, undefined)
    } else if (length !== undefined) {
      this.#startContent(head, 'length', length, length)
    } else {
      this.#keepAlive = false
      this.#startContent(head, 'until-close', 0, undefined)
    }
  }

  #startContent(
    head: ResponseHead,
    state: ParserState,
    remaining: number,
    length: number | undefined,
  ): void {
    this.#state = state
    this.#remaining = remaining
    this.#events.onHead(head, length)
    if (state === 'length' && remaining === 0) this.#complete(HeaderFields.empty)
  }

  #readContent(bytes: Buffer, start: number): number {
    const end = Math.min(bytes.length, start + this.#remaining)
    this.#remaining -= end - start
    const whole = this.#remaining === 0
    if (whole && this.#state === 'chunk-data') this.#state = 'chunk-end'
    this.#events.onContent(bytes, start, end)
    if (whole && this.#state === 'length') this.#complete(HeaderFields.empty)
    return end
  }

  /** chunk-size [ chunk-ext ] CRLF (RFC 9112 §7.1); extensions are checked and dropped. */
  #readChunkSize(bytes: Buffer, start: number): number {
    for (let position = start; position < bytes.length; position++) {
      const byte = bytes[position] as number
      switch (this.#sizeLine) {
        case 'first-digit':
        case 'digits':
        case 'blanks':
          this.#takeSizeByte(byte)
          break
        case 'extension':
          this.#takeExtensionByte(byte)
          break
        case 'line-feed':
          if (byte !== LF) throw badChunk('expected LF after CR in the line of its size')
          this.#endSizeLine()
          return position + 1
        default:
          throw unreachable(this.#sizeLine)
      }
    }
    return bytes.length
  }

  #takeSizeByte(byte: number): void {
    const digit = this.#sizeLine === 'blanks' ? -1 : hexValue(byte)
    if (digit !== -1) {
      if (this.#sizeLine === 'first-digit') this.#remaining = 0
      this.#remaining = this.#remaining * 16 + digit
      this.#sizeLine = 'digits'
      if (this.#remaining > Number.MAX_SAFE_INTEGER) throw badChunk('its size is beyond 2^53')
    } else if (this.#sizeLine === 'first-digit') {
      throw badChunk('its size is not hexadecimal')
    } else if (byte === SEMICOLON) {
      this.#sizeLine = 'extension'
      this.#extensionBytes = 0
    } else if (byte === CR) {
      this.#sizeLine = 'line-feed'
    } else if (byte === SP || byte === HTAB) {
      // RFC 9110 §5.6.3: a recipient skips "bad" whitespace, which RFC 9112 §7.1.1 has before an
      // extension; small embedded servers pad the size with blanks even without one.
      this.#sizeLine = 'blanks'
    } else {
      throw badChunk('its size is not hexadecimal')
    }
  }

  #takeExtensionByte(byte: number): void {
    this.#extensionBytes++
    if (this.#extensionBytes > this.#limits.maxHeadBytes)
      throw badChunk('its extensions are too long')
    if (byte === CR) {
      this.#sizeLine = 'line-feed'
    } else if ((byte < SP && byte !== HTAB) || byte === DEL) {
      throw badChunk('control character in its extensions')
    }
  }

  #endSizeLine(): void {
    this.#sizeLine = 'first-digit'
    if (this.#remaining > 0) {
      this.#state = 'chunk-data'
      return
    }
    this.#state = 'trailers'
    // Seeding with this line's own CRLF makes an empty section end like any other: CRLF CRLF.
    this.#appendPending(CRLF, 0, CRLF.length)
  }

  #readChunkEnd(bytes: Buffer, start: number): number {
    // `#remaining` is 0 before CR and -1 between CR and LF.
    const expected = this.#remaining === 0 ? CR : LF
    if (bytes[start] !== expected) throw badChunk('expected CRLF after its data')
    if (expected === CR) {
      this.#remaining = -1
    } else {
      this.#remaining = 0
      this.#state = 'chunk-size'
    }
    return start + 1
  }

  #complete(trailers: HeaderFields): void {
    this.#state = 'complete'
    this.#events.onComplete(trailers)
  }

  /** The field lines from `start` on, with those that decide the framing picked out on the way. */
  #parseFields(text: string, start: number): { headers: HeaderFields; framing: Framing } {
    FIELD_LINES.lastIndex = start
    if (!FIELD_LINES.test(text)) throw explainBadFields(text, start)
    const names: string[] = []
    const values: string[] = []
    const framing: Framing = {}
    for (let position = start; position < text.length;) {
      const colon = text.indexOf(':', position)
      const lineEnd = text.indexOf('\r\n', colon)
      if (names.length === this.#limits.maxFields) {
        throw new RemoteProtocolError(
          `Cannot read the response head: more than ${this.#limits.maxFields} fields`,
        )
      }
      const name = text.slice(position, colon)
      const value = trimOws(text, colon + 1, lineEnd)
      names.push(name)
      values.push(value)
      noteFraming(framing, name, value)
      position = lineEnd + 2
    }
    return { headers: HeaderFields.fromParsed(names, values), framing }
  }
}

/** Says what is wrong with field lines that are not what they should be. */
function explainBadFields(text: string, start: number): RemoteProtocolError {
  if (!LINES.test(text)) return badLines()
  for (const line of text.slice(start).split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon === -1) {
      return new RemoteProtocolError(`Cannot read the response head: no colon in ${quote(line)}`)
    }
    const name = line.slice(0, colon)
    if (!isToken(name)) {
      return new RemoteProtocolError(`Cannot read the response head: bad field name ${quote(name)}`)
    }
  }
  return badLines()
}

function badLines(): RemoteProtocolError {
  return new RemoteProtocolError(
    'Cannot read the response head: control character, bare CR or LF, or folded line',
  )
}

/** The fields that decide where a message ends and what comes then; a repeated one is joined by a comma. */
interface Framing {
  contentLength?: string
  transferEncoding?: string
  connection?: string
  keepAlive?: string
}

function noteFraming(framing: Framing, name: string, value: string): void {
  // Lengths first: most names need no lower-casing.
  if (name.length === 14 && name.toLowerCase() === 'content-length') {
    framing.contentLength = join(framing.contentLength, value)
  } else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') {
    framing.transferEncoding = join(framing.transferEncoding, value)
  } else if (name.length === 10) {
    const lower = name.toLowerCase()
    if (lower === 'connection') framing.connection = join(framing.connection, value)
    else if (lower === 'keep-alive') framing.keepAlive = join(framing.keepAlive, value)
  }
}

function join(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`
}

/** RFC 9110 §8.6: digits only; a list is refused even when its members agree. */
function parseContentLength(framing: Framing): number | undefined {
  const text = framing.contentLength
  if (text === undefined) return undefined
  const length = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(length)) {
    throw new RemoteProtocolError(`Cannot read the response: bad Content-Length ${quote(text)}`)
  }
  return length
}

function checkTransferCoding(framing: Framing, version: ResponseHead['version']): void {
  const text = framing.transferEncoding
  if (text === undefined) return
  if (framing.contentLength !== undefined) {
    // RFC 9112 §6.3: "ought to be handled as an error"
    throw new RemoteProtocolError(
      'Cannot read the response: both Content-Length and Transfer-Encoding are given',
    )
  }
  if (text.toLowerCase() !== 'chunked' || version === '1.0') {
    throw new RemoteProtocolError(
      `Cannot read the response: unsupported Transfer-Encoding ${quote(text)} in HTTP/${version}`,
    )
  }
}

/** RFC 9112 §9.3. */
function keepsAlive(version: ResponseHead['version'], connection: string | undefined): boolean {
  if (connection === undefined) return version === '1.1'
  // What nearly every server says, if it says anything.
  if (connection === 'keep-alive') return true
  const options = parseTokenList(connection)
  if (options.includes('close')) return false
  return version === '1.1' || options.includes('keep-alive')
}

function checkHeadStart(section: Buffer): void {
  const length = Math.min(section.length, HEAD_START.length)
  if (section.compare(HEAD_START, 0, length, 0, length) !== 0) {
    throw new RemoteProtocolError(
      `Cannot read the response: expected an HTTP/1.1 status line, got ${quote(section.toString('latin1', 0, 40))}`,
    )
  }
}

function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

function sectionTooLarge(limit: number): RemoteProtocolError {
  return new RemoteProtocolError(`Cannot read the response head: longer than ${limit} bytes`)
}

function badChunk(why: string): RemoteProtocolError {
  return new RemoteProtocolError(`Cannot read a chunk of the response: ${why}`)
}

function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text)
}

function unreachable(state: never): Error {
  return new Error(`Unreachable state ${String(state)}`)
}

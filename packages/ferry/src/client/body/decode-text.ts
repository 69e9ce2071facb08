/** Bytes of a response as text, in the charset that it names. */
import { RemoteProtocolError } from '../../errors.ts'

/** Settings of decoding text. */
export interface DecodeTextOptions {
  /**
   * Whether bytes that are no text in the charset, and a charset that is unknown, are errors.
   * @defaultValue false: U+FFFD stands for such bytes, and UTF-8 for such a charset
   */
  readonly fatal?: boolean | undefined
  /** Whose content it is, for messages. @defaultValue `the response` */
  readonly what?: string | undefined
}

// RFC 9110 §8.3.1: names without case; a value is a token, or quoted, which means the same.
const CHARSET = /;[\t ]*charset[\t ]*=[\t ]*(?:"([^"]*)"|([^\t ;"]+))/i

/**
 * Decodes text. A byte order mark wins over the charset of Content-Type, and is dropped; without
 * either it is UTF-8. Charsets are those of WHATWG Encoding: `iso-8859-1` means windows-1252, as in
 * browsers. What a document says about itself (`<meta charset>`, an XML declaration) is not looked at.
 * @throws {RemoteProtocolError} only with `fatal`
 * @example
 * decodeText(await response.body.bytes(), response.headers.get('content-type'))
 */
export function decodeText(
  bytes: Uint8Array,
  contentType?: string,
  { fatal = false, what = 'the response' }: DecodeTextOptions = {},
): string {
  const label = labelOfMark(bytes) ?? parseCharset(contentType)
  if (!fatal && (label === undefined || isUtf8Label(label))) return decodeUtf8(bytes)
  try {
    return createTextDecoder(label, fatal).decode(bytes)
  } catch (cause) {
    const { message } = cause as Error
    throw new RemoteProtocolError(`Cannot decode the text of ${what}: ${message}`, { cause })
  }
}

/** The charset that a Content-Type names, as it is spelled; undefined when it names none. */
export function parseCharset(contentType: string | undefined): string | undefined {
  // Most have no parameters.
  if (contentType === undefined || !contentType.includes(';')) return undefined
  const [, quoted, token] = CHARSET.exec(contentType) ?? []
  const charset = (quoted ?? token)?.trim()
  return charset === '' ? undefined : charset
}

/**
 * Makes a decoder for a charset; UTF-8 for undefined, and for one that is unknown unless `fatal`.
 * @throws {RangeError} with `fatal`, when the charset is unknown
 */
export function createTextDecoder(charset: string | undefined, fatal: boolean): TextDecoder {
  try {
    return new TextDecoder(charset ?? 'utf-8', { fatal })
  } catch (error) {
    if (fatal) throw error
    return new TextDecoder('utf-8')
  }
}

/** Decodes UTF-8, without a mark, with U+FFFD for what is none; faster than TextDecoder. */
function decodeUtf8(bytes: Uint8Array): string {
  const memory =
    bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  return startsWithMark(memory) ? memory.toString('utf8', 3) : memory.toString()
}

function isUtf8Label(label: string): boolean {
  return /^utf-?8$/i.test(label)
}

// WHATWG Encoding §6.1, "BOM sniff"
function labelOfMark(bytes: Uint8Array): string | undefined {
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be'
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le'
  return startsWithMark(bytes) ? 'utf-8' : undefined
}

function startsWithMark(bytes: Uint8Array): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
}

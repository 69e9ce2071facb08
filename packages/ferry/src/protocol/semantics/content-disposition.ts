/**
 * Reads the file name that Content-Disposition suggests (RFC 6266), also from the broken fields that
 * servers send and browsers accept.
 *
 * What comes out is text from the network: it may hold a path, control characters, or a name that a
 * system reserves. Making it safe is the business of whoever creates the file.
 */
import { decodePercent } from './percent-encoding.ts'

// The disposition type; not a word before `=`, which is a parameter of a field without a type.
const TYPE = /[^\s;=]+(?![^\s;]|[ \t]*=)/y
const GAP = /[\s;]*/y
const PARAMETER_NAME = /([^\s;="]+)[ \t]*=[ \t]*/y
const REST = /[^;]*/y

/** How a value may stand there: the first that matches counts. */
const VALUES: readonly (readonly [RegExp, (text: string) => string])[] = [
  // RFC 9110 §5.6.4: quoted-string.
  [/"((?:[^"\\]|\\.)*)"(?=[ \t]*(?:;|$))/y, unquote],
  // Quotation marks inside, not escaped: only the last one ends it.
  [/"([^;]*)"(?=[ \t]*(?:;|$))/y, unquote],
  // Something behind it that does not belong there, another field joined to this one for instance.
  [/"((?:[^"\\]|\\.)*)"/y, unquote],
  // Nothing ends it.
  [/"([^;]*)/y, (text) => text],
  // No quotation marks: spaces and commas may stand in it all the same, but not another field.
  [/((?:(?!,[ \t]*(?:attachment|inline)[ \t]*(?:;|$))[^;])*)/iy, (text) => text],
]

// `C:\` or `\\host\share`, written without escapes, as some servers on Windows do.
const WINDOWS_PATH = /^(?:[a-z]:\\[^\\]|\\\\[^\\]+\\[^\\])/i
// RFC 8187 §3.2.1: charset'language'text
const EXTENDED = /^([^']+)'[^']*'(.*)$/
const BROKEN_EXTENDED = /^(?:[\w-]*'(?:[\w-]*')?)?(.*)$/
const BROKEN_ESCAPE = /%(?![0-9a-f]{2})/i
// RFC 2047 §2, with the language of RFC 2231 §5; spaces between two words do not count (§6.2).
const ENCODED_WORD = /=\?([^?*\s]+)(?:\*[^?\s]*)?\?([bq])\?([^?]*)\?=/gi
const BETWEEN_WORDS = /\?=[ \t]+(?==\?)/g

/**
 * Gives the file name in a Content-Disposition field, as the server meant it, not safe to use;
 * undefined when there is none. The disposition type makes no difference.
 *
 * `filename*` (RFC 8187) comes before `filename`. Of fields that break the grammar, it takes the
 * reading of most browsers: UTF-8 in plain bytes, percent-encoding and encoded words (RFC 2047) in
 * `filename`, names without quotation marks, paths of Windows. Bytes in another charset that the
 * field does not name stay one character each.
 *
 * @param field the value as it came, one character a byte
 * @see RFC 6266 §4.3
 */
export function fileNameFromDisposition(field: string): string | undefined {
  const parameters = parseParameters(field)
  const valuesOf = (wanted: string): string[] =>
    parameters.flatMap(([name, value]) => (name === wanted ? [value] : []))
  const extended = valuesOf('filename*')
  const names = [
    ...extended.map(decodeExtended),
    ...valuesOf('filename').map(decodePlain),
    ...extended.map(decodeBrokenExtended),
  ]
  return names.map((name) => name?.trim()).find((name) => name !== undefined && name !== '')
}

/** Gives all parameters in their order, names in lower case. Linear in the text's length. */
function parseParameters(field: string): (readonly [name: string, value: string])[] {
  const parameters: (readonly [string, string])[] = []
  const text = field.trim()
  let position = 0
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = position
    const found = pattern.exec(text)
    if (found !== null) position = pattern.lastIndex
    return found
  }
  take(TYPE)
  take(GAP)
  while (position < text.length) {
    const name = take(PARAMETER_NAME)?.[1]
    if (name !== undefined) parameters.push([name.toLowerCase(), takeValue(take)])
    take(REST)
    take(GAP)
  }
  return parameters
}

function takeValue(take: (pattern: RegExp) => RegExpExecArray | null): string {
  for (const [pattern, toText] of VALUES) {
    const text = take(pattern)?.[1]
    if (text !== undefined) return toText(text)
  }
  return ''
}

function unquote(quoted: string): string {
  return WINDOWS_PATH.test(quoted) ? quoted : quoted.replace(/\\(.)/g, '$1')
}

/** Decodes an extended value (RFC 8187 §3.2); undefined when it breaks the rules. */
function decodeExtended(value: string): string | undefined {
  const [, charset = '', text = ''] = EXTENDED.exec(value) ?? []
  if (charset === '' || BROKEN_ESCAPE.test(text)) return undefined
  const bytes = text.replace(/%(..)/g, (_, hex: string) => fromHex(hex))
  return decodeBytes(bytes, charset)
}

/** Takes from a broken extended value what can be read, rather than name the file after its URL. */
function decodeBrokenExtended(value: string): string | undefined {
  const text = BROKEN_EXTENDED.exec(value)?.[1]
  return text === undefined ? undefined : decodePercent(decodeBytes(text, 'utf-8') ?? text)
}

function decodePlain(value: string): string {
  const text = decodeBytes(value, 'utf-8') ?? value
  const words = text.replace(BETWEEN_WORDS, '?=').replace(ENCODED_WORD, decodeWord)
  return words === text ? decodePercent(text) : words
}

/** Decodes an encoded word (RFC 2047 §4); gives it back unchanged when that cannot be done. */
function decodeWord(word: string, charset: string, coding: string, text: string): string {
  return decodeBytes(coding.toLowerCase() === 'b' ? fromBase64(text) : fromQ(text), charset) ?? word
}

function fromQ(text: string): string {
  return text.replaceAll('_', ' ').replace(/=([0-9a-f]{2})/gi, (_, hex: string) => fromHex(hex))
}

function fromBase64(text: string): string | undefined {
  try {
    return atob(text)
  } catch {
    return undefined
  }
}

function fromHex(hex: string): string {
  return String.fromCharCode(Number.parseInt(hex, 16))
}

/**
 * Decodes bytes that stand in a text one character each; undefined when they are not of that
 * charset, the charset is unknown, or the text holds more than bytes.
 */
function decodeBytes(text: string | undefined, charset: string): string | undefined {
  if (text === undefined || /[^\0-\xff]/.test(text)) return undefined
  try {
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0))
    return new TextDecoder(charset, { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

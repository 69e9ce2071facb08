/** The lexical rules that HTTP messages share, each beside its RFC number. */

// RFC 9110 §5.6.2: token = 1*tchar
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
// RFC 9110 §5.5: field-content is VCHAR, obs-text, SP and HTAB; no CR, LF or NUL
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** Tells whether text is a token (RFC 9110 §5.6.2): a method or a field name, for instance. */
export function isToken(text: string): boolean {
  return TOKEN.test(text)
}

/** Tells whether text may stand as a field value (RFC 9110 §5.5), one character a byte. */
export function isFieldValue(text: string): boolean {
  return FIELD_VALUE.test(text)
}

/**
 * Splits a comma-separated list of tokens (RFC 9110 §5.6.1) and lower-cases them; empty elements are
 * dropped. Linear in the text's length, which a peer may choose.
 */
export function parseTokenList(text: string): string[] {
  return text
    .toLowerCase()
    .split(',')
    .map((element) => trimOws(element))
    .filter((element) => element !== '')
}

/**
 * Gives text, or the part of it from `from` to `to`, without optional whitespace, SP and HTAB only,
 * at its ends (RFC 9110 §5.6.3).
 */
export function trimOws(text: string, from = 0, to: number = text.length): string {
  let start = from
  let end = to
  while (start < end && isOws(text.charCodeAt(start))) start++
  while (end > start && isOws(text.charCodeAt(end - 1))) end--
  return start === 0 && end === text.length ? text : text.slice(start, end)
}

function isOws(code: number): boolean {
  return code === 0x20 || code === 0x09
}

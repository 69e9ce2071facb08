/** Percent-encoding as people use it in names: only what can be read is decoded. */

const ESCAPES = /(?:%[0-9a-f]{2})+/gi

/**
 * Decodes the percent-encoded UTF-8 in a text (RFC 3986 §2.1). Escapes that are no UTF-8, and a lone
 * `%`, stay as they are; so it never fails.
 */
export function decodePercent(text: string): string {
  return text.replace(ESCAPES, (escapes) => {
    try {
      return decodeURIComponent(escapes)
    } catch {
      return escapes
    }
  })
}

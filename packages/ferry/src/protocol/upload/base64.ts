/** Base64 and hex, without what only Node has: protocols are spoken in browsers, too. Pure. */

/** Bytes as base64 (RFC 4648 §4). */
export function encodeBase64(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return btoa(text)
}

/** A digest as base64, given in hex. */
export function hexToBase64(hex: string): string {
  return encodeBase64(Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)))
}

/** Text as base64 of its UTF-8. */
export function textToBase64(text: string): string {
  return encodeBase64(new TextEncoder().encode(text))
}

/** Base64 is what Node makes of the same. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeBase64, hexToBase64, textToBase64 } from './base64.ts'

test('bytes, digests and text become the base64 that Node has for them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1000 }), fc.string(), (bytes, text) => {
      const expected = Buffer.from(bytes)
      expect(encodeBase64(bytes)).toBe(expected.toString('base64'))
      expect(hexToBase64(expected.toString('hex'))).toBe(expected.toString('base64'))
      const texts = `${text} ü 日本 😀 \ud800`
      expect(textToBase64(texts)).toBe(Buffer.from(texts).toString('base64'))
    }),
  )
})

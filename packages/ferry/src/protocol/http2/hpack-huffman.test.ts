import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeHuffman, huffmanLength, writeHuffman } from './hpack-huffman.ts'

function encode(text: string): Buffer {
  const target = Buffer.alloc(huffmanLength(text))
  return target.subarray(0, writeHuffman(text, target, 0))
}

function decode(code: Uint8Array): string {
  const target = Buffer.alloc(2 * code.length + 1)
  return target.toString('latin1', 0, decodeHuffman(code, 0, code.length, target))
}

// Values of RFC 7541 C.4 and C.6, and some codes of Appendix B with their padding.
test.each([
  ['', ''],
  ['www.example.com', 'f1e3c2e5f23a6ba0ab90f4ff'],
  ['no-cache', 'a8eb10649cbf'],
  ['custom-key', '25a849e95ba97d7f'],
  ['custom-value', '25a849e95bb8e8b4bf'],
  ['302', '6402'],
  ['private', 'aec3771a4b'],
  ['https://www.example.com', '9d29ad171863c78f0b97c8e9ae82ae43d3'],
  ['gzip', '9bd9ab'],
  // 13, 19, 28 and 30 bits.
  ['\0', 'ffc7'],
  ['\\', 'fffe1f'],
  ['\x01', 'ffffb1'],
  ['\x7f', 'ffffffcf'],
  ['\n', 'fffffff3'],
  ['\x16', 'fffffffb'],
])('%j is %s in Huffman code', (text, hex) => {
  expect(encode(text).toString('hex')).toBe(hex)
  expect(decode(Buffer.from(hex, 'hex'))).toBe(text)
})

test('every byte comes back, alone and beside every other', () => {
  const all = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte))

  const texts = [...all, ...all.flatMap((first) => all.map((second) => first + second))]

  expect(texts.filter((text) => decode(encode(text)) !== text)).toEqual([])
})

test('any text comes back, from the middle of other bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.nat(20), (bytes, before) => {
      const text = Buffer.from(bytes).toString('latin1')
      const length = huffmanLength(text)
      const block = Buffer.alloc(before + length + 3, 0xaa)
      const target = Buffer.alloc(2 * length + 1)

      expect(writeHuffman(text, block, before)).toBe(before + length)
      const end = decodeHuffman(block, before, before + length, target)

      expect(target.toString('latin1', 0, end)).toBe(text)
      expect(block.subarray(before + length)).toEqual(Buffer.alloc(3, 0xaa))
    }),
  )
})

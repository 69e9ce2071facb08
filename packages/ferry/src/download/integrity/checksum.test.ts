import { expect, test } from 'vitest'
import { algorithmNamed, checkDigest, parseChecksum, strongestChecksum } from './checksum.ts'

const HEX = 'AB'.repeat(32)
const BASE64 = Buffer.from(HEX, 'hex').toString('base64')

test.each([
  `sha256=${HEX}`,
  `sha-256=${HEX}`,
  `SHA-256=${HEX.toLowerCase()}`,
  `sha2-256=${HEX}`,
  `sha256:${HEX}`,
  `sha256=${BASE64}`,
  `sha-256:${BASE64.replace('=', '')}`,
  `sha-256=:${BASE64}:`,
  `sha256-${BASE64}`,
  `SHA256-${Buffer.from(HEX, 'hex').toString('base64url')}`,
  ` sha256=${HEX}\n`,
])('parseChecksum(%j)', (text) => {
  expect(parseChecksum(text)).toEqual({ algorithm: 'sha256', hex: HEX.toLowerCase() })
})

test.each([
  ['md5', 16, 'md5'],
  ['sha1', 20, 'sha1'],
  ['SHA-1', 20, 'sha1'],
  ['sha224', 28, 'sha224'],
  ['sha384', 48, 'sha384'],
  ['sha512', 64, 'sha512'],
  ['SHA512/256', 32, 'sha512-256'],
  ['sha3-256', 32, 'sha3-256'],
  ['sha3_512', 64, 'sha3-512'],
  ['BLAKE2b', 64, 'blake2b512'],
  ['BLAKE2b-256', 32, 'blake2b256'],
  ['blake2s', 32, 'blake2s256'],
  ['blake3', 32, 'blake3'],
])('parseChecksum() knows %s', (label, bytes, algorithm) => {
  const hex = '0f'.repeat(bytes)
  const base64 = Buffer.from(hex, 'hex').toString('base64')

  expect(parseChecksum(`${label}=${hex}`)).toEqual({ algorithm, hex })
  expect(parseChecksum(`${label}=${base64}`)).toEqual({ algorithm, hex })
})

test.each([
  '',
  'sha256',
  'sha256=',
  `sha256=${HEX}0`,
  `sha256=${HEX.slice(2)}`,
  `sha256=${'zz'.repeat(32)}`,
  `sha512-${BASE64}`,
  `sha256=${BASE64}=`,
  `md4=${HEX}`,
  `crc32=00000000`,
  `=${HEX}`,
  `${HEX}`,
  'constructor=00',
])('parseChecksum() refuses %j', (text) => {
  expect(() => parseChecksum(text)).toThrow(expect.objectContaining({ code: 'config' }))
})

test('algorithmNamed() tells the lengths of SHA-2 and SHA-3 apart', () => {
  expect(['SHA2-512', 'SHA512t256', 'SHA3-512', 'SHA', 'RMD160'].map(algorithmNamed)).toEqual([
    'sha512',
    'sha512-256',
    'sha3-512',
    undefined,
    undefined,
  ])
})

test('strongestChecksum() takes the strongest, whatever the order', () => {
  const checksums = ['md5', 'sha512', 'sha256'].map((algorithm) => ({ algorithm, hex: '00' }))

  expect(strongestChecksum(checksums)?.algorithm).toBe('sha512')
  expect(strongestChecksum(checksums.slice(0, 1))?.algorithm).toBe('md5')
  expect(strongestChecksum([])).toBeUndefined()
})

test('strongestChecksum() refuses a contradiction, also among weaker ones, but no repetition', () => {
  const sha = { algorithm: 'sha256', hex: '00' }
  const md5 = { algorithm: 'md5', hex: '01' }

  expect(strongestChecksum([md5, sha, { ...sha }])).toBe(sha)
  expect(() => strongestChecksum([md5, sha, { ...md5, hex: '02' }])).toThrow(
    'Cannot check by md5: both 01 and 02 are expected',
  )
})

test('checkDigest() accepts what was expected, and nothing else', () => {
  const expected = parseChecksum(`sha256=${HEX}`)

  checkDigest('a', expected, HEX.toLowerCase())
  expect(() => checkDigest('a', expected, '00')).toThrow(
    expect.objectContaining({ code: 'checksum-mismatch' }),
  )
})

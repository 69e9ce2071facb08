import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  hexFromBase64,
  parseContentDigest,
  parseLegacyDigest,
  parseReprDigest,
  representationDigests,
  WANT_REPR_DIGEST,
} from './digest-fields.ts'
import { HeaderFields } from './header-fields.ts'
import { parseItemDictionary } from './structured-fields.ts'

// Of `{"hello": "world"}` and a line feed, the content that RFC 9530 uses in its examples.
const B64 = {
  sha512:
    'YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T3qg==',
  sha256: 'RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=',
  sha1: 'yyTATouGJ50S3R4iWotz3qq6P9Y=',
  md5: 'UFIauregE76D7gDe0/n0JA==',
}
const OTHER = '2SmKENGwc1g33EvYXaxkGw887yekfl1TpU8vP1svz/o='

const SHA512 = {
  algorithm: 'sha512',
  hex:
    '60c01a9b9d49cff8ce0134faff3bc7acb5603984c6172d5de862623874e886ae' +
    '323fea60938bdfd9a0acc9164eb70f0c8e433b8b0ef267f5a4a6998ce384f7aa',
}
const SHA256 = {
  algorithm: 'sha256',
  hex: '44aff4ab2d7c3250525675a08f0cfa9591168cffe51791c5f5bbc417c15a6c38',
}
const SHA1 = { algorithm: 'sha1', hex: 'cb24c04e8b86279d12dd1e225a8b73deaaba3fd6' }
const MD5 = { algorithm: 'md5', hex: '50521abab7a013be83ee00ded3f9f424' }

test('parseReprDigest() reads the example of RFC 9530 B.1', () => {
  const field = 'sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:'

  expect(parseReprDigest(field)).toEqual([SHA256])
  expect(parseContentDigest(field)).toEqual([SHA256])
})

test.each([
  [
    'all, strongest first',
    `md5=:${B64.md5}:, sha=:${B64.sha1}:,sha-256=:${B64.sha256}:, sha-512=:${B64.sha512}:`,
    [SHA512, SHA256, SHA1, MD5],
  ],
  ['parameters are of no account', `sha-256=:${B64.sha256}:;x=1`, [SHA256]],
  ['the last of a key counts', `sha-256=:${OTHER}:, sha-256=:${B64.sha256}:`, [SHA256]],
  ['no padding', `sha-256=:${B64.sha256.replace('=', '')}:`, [SHA256]],
  ['unknown algorithms', `adler=:AAAAAA==:, sha-256=:${B64.sha256}:, unixsum=:AA==:`, [SHA256]],
  ['a digest cut short', `sha-512=:${B64.sha256}:, sha-256=:${B64.sha256}:`, [SHA256]],
  ['text in place of bytes', `sha-256="${B64.sha256}"`, []],
  ['a token in place of bytes', 'sha-256=abc', []],
  ['no value', 'sha-256', []],
  ['the form of Digest', `sha-256=${B64.sha256}`, []],
  ['a name in capitals breaks the grammar', `SHA-256=:${B64.sha256}:`, []],
  ['rubbish behind it', `sha-256=:${B64.sha256}: !`, []],
  ['empty', '', []],
])('parseReprDigest(): %s', (_name, field, expected) => {
  expect(parseReprDigest(field)).toEqual(expected)
})

test.each([
  ['names of any case', `SHA-256=${B64.sha256}`, [SHA256]],
  ['several', `md5=${B64.md5} , \tsha=${B64.sha1},SHA-512=${B64.sha512}`, [SHA512, SHA1, MD5]],
  ['the first of a name counts', `sha-256=${B64.sha256}, sha-256=${OTHER}`, [SHA256]],
  ['unknown algorithms', `UNIXsum=30637,id-sha-256=${B64.sha256},SHA-256=${B64.sha256}`, [SHA256]],
  ['broken base64', `sha-256=${B64.sha256.replace('=', '*')}`, []],
  ['hexadecimal', `sha-256=${SHA256.hex}`, []],
  ['no value', 'sha-256, md5=', []],
  ['a name of the language', `constructor=${B64.md5}`, []],
])('parseLegacyDigest(): %s', (_name, field, expected) => {
  expect(parseLegacyDigest(field)).toEqual(expected)
})

test.each<
  [name: string, status: number, fields: Record<string, string | string[]>, expected: unknown]
>([
  ['none', 200, { ETag: '"a"' }, []],
  [
    'Repr-Digest before Digest',
    200,
    { Digest: `sha-256=${OTHER}`, 'Repr-Digest': `sha-256=:${B64.sha256}:` },
    [SHA256],
  ],
  [
    'a broken Repr-Digest leaves Digest',
    206,
    { Digest: `sha-256=${B64.sha256}`, 'Repr-Digest': 'sha-256=:AA==:' },
    [SHA256],
  ],
  ['a digest of the content only', 200, { 'Content-Digest': `sha-256=:${B64.sha256}:` }, []],
  ['Content-MD5', 200, { 'Content-MD5': B64.md5 }, [MD5]],
  ['Content-MD5 of a part', 206, { 'Content-MD5': B64.md5 }, []],
  [
    'Google, on two lines',
    206,
    {
      'x-goog-hash': ['crc32c=n03x6A==', `md5=${B64.md5}`],
      'x-goog-stored-content-encoding': 'identity',
    },
    [MD5],
  ],
  [
    'Google, unpacked on the way',
    200,
    { 'x-goog-hash': `md5=${B64.md5}`, 'x-goog-stored-content-encoding': 'gzip' },
    [],
  ],
  [
    'Amazon',
    200,
    {
      'x-amz-checksum-sha256': B64.sha256,
      'x-amz-checksum-sha1': B64.sha1,
      'x-amz-checksum-type': 'FULL_OBJECT',
    },
    [SHA256, SHA1],
  ],
  ['Amazon, of a part', 206, { 'x-amz-checksum-sha256': B64.sha256 }, []],
  ['Amazon, a digest of digests', 200, { 'x-amz-checksum-sha256': `${B64.sha256}-7` }, []],
  [
    'Amazon, a digest of digests by its type',
    200,
    { 'x-amz-checksum-sha256': B64.sha256, 'x-amz-checksum-type': 'COMPOSITE' },
    [],
  ],
  [
    'coded content',
    200,
    { 'Repr-Digest': `sha-256=:${B64.sha256}:`, 'Content-Encoding': 'gzip' },
    [],
  ],
  [
    'identity is no coding',
    200,
    { 'Repr-Digest': `sha-256=:${B64.sha256}:`, 'Content-Encoding': 'identity' },
    [SHA256],
  ],
])('representationDigests(): %s', (_name, status, fields, expected) => {
  const lines = Object.entries(fields).flatMap(([name, values]) =>
    [values].flat().map((value) => [name, value] as const),
  )

  expect(representationDigests(status, HeaderFields.from(lines))).toEqual(expected)
})

test('Want-Repr-Digest is a dictionary of weights', () => {
  const weights = parseItemDictionary(WANT_REPR_DIGEST)

  expect([...(weights ?? [])].map(([key, { bare }]) => [key, bare.value])).toEqual([
    ['sha-256', 10],
    ['sha-512', 5],
  ])
})

test('hexFromBase64() reads what was written in each form of base64', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1 }), (bytes) => {
      const buffer = Buffer.from(bytes)
      const hex = buffer.toString('hex')

      expect(hexFromBase64(buffer.toString('base64'))).toBe(hex)
      expect(hexFromBase64(buffer.toString('base64').replace(/=+$/, ''))).toBe(hex)
      expect(hexFromBase64(buffer.toString('base64url'))).toBe(hex)
    }),
  )
})

test.each([
  '',
  '=',
  'A',
  'AAAAA',
  'AA=',
  'AAA==',
  'AAAA=',
  'AA===',
  'AA A',
  'AA==AA',
  '*AAA',
  'AAAA\n',
])('hexFromBase64() refuses %j', (text) => {
  expect(hexFromBase64(text)).toBeUndefined()
})

test('whatever a field holds, digests have the length of their algorithm', () => {
  const bytes = { sha512: 64, sha256: 32, sha1: 20, md5: 16 }
  const words = ['sha-256', 'md5', 'SHA', '=', ':', ',', ' ', ';a', '"', '==', B64.md5, B64.sha256]
  const field = fc
    .array(fc.constantFrom(...words, '=:', ':,', 'sha-256=:', 'md5='))
    .map((all) => all.join(''))

  fc.assert(
    fc.property(field, (text) => {
      for (const { algorithm, hex } of [...parseReprDigest(text), ...parseLegacyDigest(text)]) {
        expect(hex).toHaveLength(bytes[algorithm] * 2)
      }
    }),
  )
})

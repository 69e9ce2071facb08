import { expect, test } from 'vitest'
import { type FieldDigest, parseReprDigest } from '../semantics/digest-fields.ts'
import { formatDigest } from './digest-field.ts'

test.each<[FieldDigest['algorithm'], number, string]>([
  ['sha512', 64, 'sha-512'],
  ['sha256', 32, 'sha-256'],
  ['sha1', 20, 'sha'],
  ['md5', 16, 'md5'],
])('formatDigest() writes %s as it is read', (algorithm, bytes, key) => {
  const digest = { algorithm, hex: '0aff'.repeat(bytes / 2) }
  const field = formatDigest(digest)

  expect(field.startsWith(`${key}=:`)).toBe(true)
  expect(parseReprDigest(field)).toEqual([digest])
})

test('formatDigest() writes the example of RFC 9530', () => {
  const hex = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

  expect(formatDigest({ algorithm: 'sha256', hex })).toBe(
    'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:',
  )
})

import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { matchesIntegrity } from './integrity.ts'

const BYTES = Buffer.from('hello')

function digest(algorithm: string, content = 'hello', form: 'base64' | 'base64url' = 'base64') {
  return `${algorithm}-${createHash(algorithm).update(content).digest(form)}`
}

const rows: readonly [string, string, boolean][] = [
  ['sha256', digest('sha256'), true],
  ['sha384', digest('sha384'), true],
  ['sha512', digest('sha512'), true],
  ['an algorithm in capitals', digest('sha256').replace('sha', 'SHA'), true],
  ['base64url without padding', digest('sha512', 'hello', 'base64url'), true],
  ['options behind the digest', `${digest('sha256')}?ct=text`, true],
  ['another content', digest('sha256', 'other'), false],
  ['one of two', `${digest('sha256', 'other')}\n ${digest('sha256')}`, true],
  ['the weaker of two', `${digest('sha256')} ${digest('sha512', 'other')}`, false],
  ['the stronger of two', `${digest('sha256', 'other')} ${digest('sha512')}`, true],
  ['an unknown algorithm', 'md5-XUFAKrxLKna5cZ2REBfFkg==', true],
  ['an unknown algorithm beside another', `md5-x ${digest('sha256', 'other')}`, false],
  ['no digest behind the name', 'sha256-', false],
  ['nothing', '  ', true],
]

test.each(rows)('matchesIntegrity with %s', (_, metadata, expected) => {
  expect(matchesIntegrity(BYTES, metadata)).toBe(expected)
})

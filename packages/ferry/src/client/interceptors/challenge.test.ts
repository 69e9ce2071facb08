import { expect, test } from 'vitest'
import { parseChallenges } from './challenge.ts'

/** `scheme name=value …` of each challenge. */
function read(...lines: string[]): string[] {
  return parseChallenges(lines).map(({ scheme, params }) =>
    [scheme, ...[...params].map(([name, value]) => `${name}=${value}`)].join(' '),
  )
}

test.each([
  ['one with parameters', 'Basic realm="a", charset="UTF-8"', ['basic realm=a charset=UTF-8']],
  [
    'two in one line',
    'Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"',
    ['newauth realm=apps type=1 title=Login to "apps"', 'basic realm=simple'],
  ],
  ['none with parameters', 'Negotiate, NTLM', ['negotiate', 'ntlm']],
  ['a token68', 'Negotiate YII==, Basic realm=x', ['negotiate', 'basic realm=x']],
  ['a token68 without padding', 'Negotiate YII, Digest nonce=x', ['negotiate', 'digest nonce=x']],
  ['blanks around the sign', 'Digest nonce = "a" ,realm= b', ['digest nonce=a realm=b']],
  ['empty elements', ', ,Digest  nonce=a,, realm=b,', ['digest nonce=a realm=b']],
  ['commas in quotes', 'Digest qop="auth,auth-int", realm=""', ['digest qop=auth,auth-int realm=']],
  ['a name twice', 'Digest nonce=a, NONCE=b', ['digest nonce=a']],
  ['an open quote', 'Basic realm="a', ['basic']],
  ['nothing', '', []],
  ['a fault', 'Basic realm=a, {}, Digest nonce=b', ['basic realm=a']],
])('parseChallenges() reads %s', (_, line, challenges) => {
  expect(read(line)).toEqual(challenges)
})

test('parseChallenges() reads several lines', () => {
  expect(read('Digest nonce=a', 'Basic realm=b')).toEqual(['digest nonce=a', 'basic realm=b'])
})

test.each([
  ['blanks', `Basic ${' '.repeat(60_000)}x`],
  ['commas', `Basic ${','.repeat(60_000)}`],
  ['backslashes', `Basic realm="${'\\'.repeat(60_001)}`],
  ['a long name', `Basic ${'a'.repeat(60_000)}\t`],
  ['many schemes', 'a '.repeat(30_000)],
])('parseChallenges() reads a long line of %s in time that grows with its length', (_, line) => {
  const startedAt = performance.now()

  expect(parseChallenges([line]).length).toBeLessThanOrEqual(32)

  expect(performance.now() - startedAt).toBeLessThan(3000)
})

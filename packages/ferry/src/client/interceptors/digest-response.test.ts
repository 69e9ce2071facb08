import { expect, test } from 'vitest'
import { parseChallenges } from './challenge.ts'
import { chooseDigestChallenge, formatDigestCredentials } from './digest-response.ts'

const NO_CONTENT = new Uint8Array()

function choose(...lines: string[]): ReturnType<typeof chooseDigestChallenge> {
  return chooseDigestChallenge(parseChallenges(lines))
}

/** The parameters of the answer to a challenge. */
function answer(
  line: string,
  input: Partial<Parameters<typeof formatDigestCredentials>[1]> = {},
): Record<string, string> {
  const challenge = choose(line)
  if (challenge === undefined) throw new Error('the challenge cannot be answered')
  const value = formatDigestCredentials(challenge, {
    username: 'Mufasa',
    password: 'Circle of Life',
    method: 'GET',
    uri: '/dir/index.html',
    qop: challenge.qop[0],
    count: 1,
    cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
    content: NO_CONTENT,
    ...input,
  })
  return Object.fromEntries(parseChallenges([value])[0]?.params ?? [])
}

// RFC 7616 §3.9.1
const RFC_CHALLENGE =
  'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=ALGORITHM, ' +
  'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", ' +
  'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'

test.each([
  ['MD5', '8ca523f5e9506fed4657c9700eebdbec'],
  ['SHA-256', '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1'],
])('the answer for %s is that of RFC 7616 §3.9.1', (algorithm, response) => {
  const params = answer(RFC_CHALLENGE.replace('ALGORITHM', algorithm))

  expect(params).toEqual({
    username: 'Mufasa',
    realm: 'http-auth@example.org',
    uri: '/dir/index.html',
    algorithm,
    nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
    nc: '00000001',
    cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
    qop: 'auth',
    response,
    opaque: 'FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS',
  })
})

test('the answer with SHA-512-256, a hashed name and UTF-8 is that of RFC 7616 §3.9.2', () => {
  const params = answer(
    'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, ' +
      'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", ' +
      'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true',
    {
      username: 'Jäsøn Doe',
      password: 'Secret, or not?',
      uri: '/doe.json',
      cnonce: 'NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v',
    },
  )

  expect(params).toMatchObject({
    // As corrected by erratum 4897: the text was made with a draft of SHA-512-256.
    username: '793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b',
    userhash: 'true',
    response: '3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5',
  })
})

test('the answer without qop is that of RFC 2069', () => {
  // As corrected by erratum 749.
  const params = answer(
    'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", ' +
      'opaque="5ccc069c403ebaf9f0171e9517f40e41"',
    { username: 'Mufasa', password: 'CircleOfLife' },
  )

  expect(params).toEqual({
    username: 'Mufasa',
    realm: 'testrealm@host.com',
    uri: '/dir/index.html',
    nonce: 'dcd98b7102dd2f0e8b11d0f600bfb0c093',
    response: '1949323746fe6a43ef61f9606e7febea',
    opaque: '5ccc069c403ebaf9f0171e9517f40e41',
  })
})

test('auth-int covers the content', () => {
  const challenge = 'Digest realm=r, nonce=n, qop=auth-int'

  expect(answer(challenge, { content: Buffer.from('a') })['response']).not.toBe(
    answer(challenge, { content: Buffer.from('b') })['response'],
  )
})

test.each([
  [
    'the strongest',
    [
      'Digest realm=r, nonce=1, algorithm=MD5',
      'Digest realm=r, nonce=2, algorithm=SHA-256',
      'Digest realm=r, nonce=3, algorithm=SHA-512-256',
    ],
    '3',
  ],
  ['the first of two alike', ['Digest realm=r, nonce=1', 'Digest realm=r, nonce=2'], '1'],
  ['MD5 where none is named', ['Basic realm=r', 'Digest realm=r, nonce=1'], '1'],
  ['a session algorithm', ['Digest realm=r, nonce=1, algorithm=sha-256-SESS'], '1'],
  ['none of an unknown algorithm', ['Digest realm=r, nonce=1, algorithm=SHA-1'], undefined],
  ['none of an unknown quality', ['Digest realm=r, nonce=1, qop=auth-conf'], undefined],
  ['none without a nonce', ['Digest realm=r'], undefined],
  ['none where there is none', ['Basic realm=r'], undefined],
  [
    'none named after what every object has',
    ['Digest realm=r, nonce=1, algorithm=toString'],
    undefined,
  ],
])('chooseDigestChallenge() takes %s', (_, lines, nonce) => {
  expect(choose(...lines)?.nonce).toBe(nonce)
})

test.each([
  ['quotes and backslashes', 'a"b\\c', 'username="a\\"b\\\\c"'],
  ['letters above ASCII', "J'ä", "username*=UTF-8''J%27%C3%A4"],
])('a name with %s can be sent', (_, username, field) => {
  const challenge = choose('Digest realm=r, nonce=n')
  if (challenge === undefined) throw new Error('no challenge')

  const value = formatDigestCredentials(challenge, {
    username,
    password: 'p',
    method: 'GET',
    uri: '/',
    qop: undefined,
    count: 1,
    cnonce: 'c',
    content: NO_CONTENT,
  })

  expect(value).toContain(field)
})

import fc from 'fast-check'
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { ConfigError } from '../errors.ts'
import { HttpUrl } from './http-url.ts'

const rows: readonly [
  text: string,
  key: string,
  host: string,
  authority: string,
  target: string,
][] = [
  ['http://h', 'http://h:80', 'h', 'h', '/'],
  ['https://h/a?b=c', 'https://h:443', 'h', 'h', '/a?b=c'],
  ['http://h:8080/a', 'http://h:8080', 'h', 'h:8080', '/a'],
  ['https://h:443/', 'https://h:443', 'h', 'h', '/'],
  ['http://h:443/', 'http://h:443', 'h', 'h:443', '/'],
  ['HTTP://Example.ORG/A', 'http://example.org:80', 'example.org', 'example.org', '/A'],
  ['http://[::1]:81/x', 'http://[::1]:81', '::1', '[::1]:81', '/x'],
  [
    'http://bücher.example/ü?ü',
    'http://xn--bcher-kva.example:80',
    'xn--bcher-kva.example',
    'xn--bcher-kva.example',
    '/%C3%BC?%C3%BC',
  ],
  ['http://h/a b"<>', 'http://h:80', 'h', 'h', '/a%20b%22%3C%3E'],
  ['http://h/a/../b/./c', 'http://h:80', 'h', 'h', '/b/c'],
]

test.each(rows)(
  'HttpUrl splits %s into what the wire needs',
  (text, key, host, authority, target) => {
    const url = HttpUrl.parse(text)

    expect(url.origin.key).toBe(key)
    expect(url.origin.host).toBe(host)
    expect(url.authority).toBe(authority)
    expect(url.target).toBe(target)
    expect(url.target).toMatch(/^[\x21-\x7e]+$/)
  },
)

test.each([
  ['http://h/a?b#c', 'http://h/a?b'],
  ['http://h/a#', 'http://h/a'],
  ['http://h#/a?b', 'http://h/'],
  ['http://h/a#b?c#d', 'http://h/a'],
  ['http://user:pw@h/a?b#c', 'http://h/a?b'],
])('HttpUrl drops the fragment of %s', (text, href) => {
  expect(HttpUrl.parse(text).href).toBe(href)
  expect(HttpUrl.parse(text).target).toBe(href.replace('http://h', ''))
})

test('HttpUrl tells an empty query from none', () => {
  expect(HttpUrl.parse('http://h/a?').target).toBe('/a?')
  expect(HttpUrl.parse('http://h?').target).toBe('/?')
  expect(HttpUrl.parse('http://u@h/a?#').target).toBe('/a?')
})

test('HttpUrl cannot be changed, nor can its origin and credentials', () => {
  const url = HttpUrl.parse('http://user:pw@h/')

  for (const value of [url, url.origin, url.credentials]) expect(Object.isFrozen(value)).toBe(true)
})

test('HttpUrl.parse() gives the same value for the same text, in any order and number', () => {
  const texts = fc.array(
    fc.webUrl({ validSchemes: ['http'], withQueryParameters: true, withFragments: true }),
    { minLength: 1, maxLength: 20 },
  )

  fc.assert(
    fc.property(texts, (some) => {
      for (const text of [...some, ...some]) {
        const url = HttpUrl.parse(text)
        const platform = new URL(text)

        platform.hash = ''
        expect(url.href).toBe(platform.href)
        expect(url.target).toBe(platform.href.slice(platform.origin.length))
        expect(url.authority).toBe(platform.host)
      }
    }),
  )
})

test('HttpUrl.parse() never takes one text for another', () => {
  const texts = Array.from({ length: 2_000 }, (_, index) => `http://h/${index}/${index % 7}aaaa`)

  for (const text of [...texts, ...texts]) expect(HttpUrl.parse(text).href).toBe(text)
})

test('HttpUrl holds credentials apart, decoded, and never prints them', () => {
  const url = HttpUrl.parse('http://us%40er:p%3Aw@h/a')

  expect(url.credentials).toEqual({ username: 'us@er', password: 'p:w' })
  expect(`${url} ${JSON.stringify(url)} ${url.authority} ${url.origin.key}`).not.toMatch(
    /us|p%3Aw|p:w/,
  )
})

test('HttpUrl leaves credentials as they are when they are not percent-encoded text', () => {
  expect(HttpUrl.parse('http://a%zz@h/').credentials?.username).toBe('a%zz')
})

test('HttpUrl has no credentials where the URL has none', () => {
  expect(HttpUrl.parse('http://h/').credentials).toBeUndefined()
})

test('HttpUrl.parse() resolves a relative URL against its base, without the credentials', () => {
  const base = HttpUrl.parse('http://user:pw@h:81/a/b?c')
  const url = HttpUrl.parse('../d', base)

  expect(url.href).toBe('http://h:81/d')
  expect(url.credentials).toBeUndefined()
})

test('HttpUrl.parse() gives an HttpUrl back as it is', () => {
  const url = HttpUrl.parse('http://h/')

  expect(HttpUrl.parse(url)).toBe(url)
  expect(HttpUrl.parse(new URL('http://h/')).href).toBe(url.href)
})

test('HttpUrl keys are equal for equal origins only', () => {
  const key = (text: string): string => HttpUrl.parse(text).origin.key

  expect(key('http://H:80/a')).toBe(key('http://h/b'))
  expect(key('https://h/')).not.toBe(key('http://h/'))
  expect(key('http://h:80/')).not.toBe(key('https://h:80/'))
})

test.each(['', 'example.org/x', '/a', 'http://', 'http://a b/', 'http://h:99999/'])(
  'HttpUrl.parse() refuses %j as a URL',
  (text) => {
    expect(() => HttpUrl.parse(text)).toThrow(ConfigError)
  },
)

test.each(['ftp://h/', 'file:///etc/passwd', 'ws://h/', 'javascript:0'])(
  'HttpUrl.parse() refuses the scheme of %s',
  (text) => {
    expect(() => HttpUrl.parse(text)).toThrow(/expected http:\/\/ or https:\/\//)
  },
)

test.each([
  'http://user:secret@bad host/',
  'http://user:sec@secret@bad host/',
  'http://user:a/secret@host/',
])('HttpUrl.parse() keeps the credentials of %s out of its message', (text) => {
  expect(() => HttpUrl.parse(text)).toThrow(
    expect.objectContaining({ message: expect.not.stringMatching(/user|sec/) }),
  )
})

test.each([
  ['https://exa mple.org/x?token=SECRET', 'https://exa mple.org/x?…'],
  ['http:/user:SECRET@h:99999/', 'http://…@h:99999/'],
  ['http://user:SEC/RET@h:1:2/', 'http://…@h:1:2/'],
  ['http://user:SEC?RET@h:1:2/', 'http://…@h:1:2/'],
  ['//user:SECRET@h /', '//…@h /'],
])('HttpUrl.parse() shows no secret of %j', (text, shown) => {
  expect(() => HttpUrl.parse(text)).toThrow(`Cannot use ${JSON.stringify(shown)} as a URL`)
})

test('HttpUrl shows no secret to whoever looks into it', () => {
  const url = HttpUrl.parse('https://user:SECRET@example.org/a?token=SECRET')

  expect(inspect(url)).toBe('HttpUrl https://example.org/a?…')
  expect(inspect({ url }, { depth: 9 })).not.toContain('SECRET')
})

import { expect, test, vi } from 'vitest'
import { HttpUrl } from '../../transport/http-url.ts'
import { createCookieJar, type MemoryCookieJar } from './create-cookie-jar.ts'
import type { CookieRecord } from './cookie-record.ts'

const RECORD: CookieRecord = {
  name: 'a',
  value: '1',
  domain: 'example.org',
  path: '/',
  hostOnly: true,
  secure: false,
  httpOnly: false,
}

/** What is sent to `to` after `lines` have come from `from`. */
async function exchange(from: string, lines: readonly string[], to = from): Promise<string> {
  const jar = createCookieJar()
  await jar.setCookies(HttpUrl.parse(from), lines)
  return cookiesFor(jar, to)
}

function cookiesFor(jar: MemoryCookieJar, url: string): Promise<string> {
  return jar.getCookies(HttpUrl.parse(url))
}

test.each([
  ['several lines', 'http://h.example/', ['a=1', 'b=2; Path=/'], undefined, 'a=1; b=2'],
  [
    'a longer path first',
    'http://h.example/x/y',
    ['a=1; Path=/', 'b=2; Path=/x'],
    undefined,
    'b=2; a=1',
  ],
  ['nothing elsewhere', 'http://h.example/', ['a=1'], 'http://other.example/', ''],
  ['nothing to hosts below', 'http://h.example/', ['a=1'], 'http://sub.h.example/', ''],
  [
    'a domain to hosts below',
    'http://h.example/',
    ['a=1; Domain=h.example'],
    'http://sub.h.example/',
    'a=1',
  ],
  [
    'none of a foreign domain',
    'http://h.example/',
    ['a=1; Domain=other.example'],
    'http://other.example/',
    '',
  ],
  ['none of a public suffix', 'http://h.co.uk/', ['a=1; Domain=co.uk'], 'http://other.co.uk/', ''],
  ['one to another port', 'http://h.example:81/', ['a=1'], 'http://h.example:82/', 'a=1'],
  ['the default path', 'http://h.example/x/y', ['a=1'], 'http://h.example/x/z', 'a=1'],
  ['nothing beside the path', 'http://h.example/x/y', ['a=1'], 'http://h.example/xz', ''],
  ['Secure over https', 'https://h.example/', ['a=1; Secure'], undefined, 'a=1'],
  ['no Secure over http', 'https://h.example/', ['a=1; Secure'], 'http://h.example/', ''],
  ['Secure to this machine', 'http://localhost/', ['a=1; Secure'], undefined, 'a=1'],
  ['HttpOnly', 'http://h.example/', ['a=1; HttpOnly'], undefined, 'a=1'],
  ['SameSite', 'http://h.example/', ['a=1; SameSite=Strict'], undefined, 'a=1'],
  [
    'none that has run out',
    'http://h.example/',
    ['a=1; Max-Age=0', 'b=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT'],
    undefined,
    '',
  ],
  [
    'a date with a comma',
    'http://h.example/',
    ['a=1; Expires=Fri, 31 Dec 2100 23:59:59 GMT'],
    undefined,
    'a=1',
  ],
  ['the newer of two', 'http://h.example/', ['a=1', 'a=2'], undefined, 'a=2'],
  ['none taken back', 'http://h.example/', ['a=1', 'a=; Max-Age=-1'], undefined, ''],
  ['a value with signs', 'http://h.example/', ['a="b=c"'], undefined, 'a="b=c"'],
  ['no nonsense', 'http://h.example/', ['', '=', ';', 'a'], undefined, ''],
  ['no control characters', 'http://h.example/', ['a=1\u0001'], undefined, ''],
  [
    '__Secure- over https',
    'https://h.example/',
    ['__Secure-a=1; Secure'],
    undefined,
    '__Secure-a=1',
  ],
  ['no __Secure- without Secure', 'https://h.example/', ['__Secure-a=1'], undefined, ''],
  ['__Host-', 'https://h.example/', ['__Host-a=1; Secure; Path=/'], undefined, '__Host-a=1'],
  [
    'no __Host- with a domain',
    'https://h.example/',
    ['__Host-a=1; Secure; Path=/; Domain=h.example'],
    undefined,
    '',
  ],
  [
    'no __Host- with another path',
    'https://h.example/x/',
    ['__Host-a=1; Secure; Path=/x'],
    'https://h.example/x/',
    '',
  ],
  ['an address', 'http://127.0.0.1:8080/', ['a=1'], undefined, 'a=1'],
  ['localhost', 'http://localhost/', ['a=1'], undefined, 'a=1'],
  ['IPv6', 'http://[::1]/', ['a=1'], undefined, 'a=1'],
  ['none that is too long', 'http://h.example/', [`a=${'x'.repeat(9000)}`], undefined, ''],
])('a jar gives %s', async (_, from, lines, to, expected) => {
  expect(await exchange(from, lines, to)).toBe(expected)
})

test('a jar gives its cookies as JSON, and another takes them', async () => {
  const jar = createCookieJar()
  await jar.setCookies(HttpUrl.parse('https://www.example.org/x/'), [
    'a=1',
    'b=2; Domain=example.org; Path=/; Secure; HttpOnly; Max-Age=60',
    'c=3; Max-Age=0',
  ])

  const records = jar.toJSON()
  const other = createCookieJar({ cookies: JSON.parse(JSON.stringify(jar)) })

  expect(records).toEqual([
    { ...RECORD, domain: 'www.example.org', path: '/x' },
    {
      ...RECORD,
      name: 'b',
      value: '2',
      hostOnly: false,
      secure: true,
      httpOnly: true,
      expiresAt: expect.any(Number),
    },
  ])
  expect(other.toJSON()).toEqual(records)
  expect(await cookiesFor(other, 'https://www.example.org/x/')).toBe('a=1; b=2')
  expect(await cookiesFor(other, 'http://other.example.org/x/')).toBe('')
  expect(await cookiesFor(other, 'https://other.example.org/')).toBe('b=2')
  expect(other.toJSON()).toEqual(records)
})

test('a jar gives no cookie that has run out, of those it began with either', async () => {
  const jar = createCookieJar({ cookies: [{ ...RECORD, expiresAt: Date.now() - 1 }] })

  expect(jar.toJSON()).toEqual([])
  expect(await cookiesFor(jar, 'http://example.org/')).toBe('')
})

test('a cookie runs out at its time although it is in use', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  try {
    const jar = createCookieJar()
    await jar.setCookies(HttpUrl.parse('http://example.org/'), ['a=1; Max-Age=60'])
    vi.setSystemTime(Date.now() + 40_000)
    expect(await cookiesFor(jar, 'http://example.org/')).toBe('a=1')

    vi.setSystemTime(Date.now() + 40_000)

    expect(await cookiesFor(jar, 'http://example.org/')).toBe('')
  } finally {
    vi.useRealTimers()
  }
})

test('a jar forgets', async () => {
  const jar = createCookieJar({ cookies: [RECORD] })
  await cookiesFor(jar, 'http://example.org/')
  await jar.setCookies(HttpUrl.parse('http://example.org/'), ['b=1'])

  jar.clear()

  expect(jar.toJSON()).toEqual([])
})

test('a jar holds 150 cookies a domain, those that were used last', async () => {
  const jar = createCookieJar()
  const lines = Array.from({ length: 200 }, (_, index) => `c${index}=1; Path=/${index}`)
  await jar.setCookies(HttpUrl.parse('http://example.org/'), ['first=1', 'second=1; Path=/p'])
  for (const line of lines.slice(0, 148))
    await jar.setCookies(HttpUrl.parse('http://example.org/'), [line])
  await new Promise((resolve) => setTimeout(resolve, 2))
  await cookiesFor(jar, 'http://example.org/')

  await jar.setCookies(HttpUrl.parse('http://example.org/'), lines.slice(148))

  const names = jar.toJSON().map(({ name }) => name)
  expect(names.length).toBe(150)
  expect(names).toContain('first')
  expect(names).not.toContain('second')
})

test('a jar holds 3000 cookies', async () => {
  const jar = createCookieJar()
  const lines = Array.from({ length: 150 }, (_, index) => `c${index}=1`)

  for (let index = 0; index < 22; index++) {
    await jar.setCookies(HttpUrl.parse(`http://h${index}.example/`), lines)
  }

  expect(jar.toJSON().length).toBe(3000)
})

test.each([
  ['text', 'a=1'],
  ['a list of text', ['a=1']],
  ['a record without a path', [{ ...RECORD, path: undefined }]],
  ['what tough-cookie writes', { cookies: [] }],
])('createCookieJar() refuses %s', (_, cookies) => {
  expect(() => createCookieJar({ cookies: cookies as never })).toThrow(
    expect.objectContaining({ code: 'config' }),
  )
})

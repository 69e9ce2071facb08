import { execFile } from 'node:child_process'
import type { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { LoopbackServer } from '../testing/loopback-server.ts'
import { HttpUrl } from '../transport/http-url.ts'
import { type Environment, proxyFromEnvironment } from './proxy-environment.ts'

/** Which of two proxies, or none, a URL goes to. */
type Way = 'one' | 'two' | 'straight'

interface Row {
  /** ONE and TWO stand for host and port of the two proxies. */
  readonly env: Environment
  /** PORT stands for a port that nobody listens on. */
  readonly url: string
  readonly way: Way
  /** What curl 7.88 does, where we differ: on purpose, or where later ones do as we. */
  readonly curl?: Way
}

const ONE = { http_proxy: 'http://ONE' }
const excluding = (no_proxy: string): Environment => ({ ...ONE, no_proxy })

const ROWS: readonly Row[] = [
  // Which variable.
  { env: {}, url: 'http://a.test/', way: 'straight' },
  { env: ONE, url: 'http://a.test/', way: 'one' },
  { env: ONE, url: 'https://a.test/', way: 'straight' },
  { env: { https_proxy: 'http://ONE' }, url: 'https://a.test/', way: 'one' },
  { env: { https_proxy: 'http://ONE' }, url: 'http://a.test/', way: 'straight' },
  { env: { HTTPS_PROXY: 'http://ONE' }, url: 'https://a.test/', way: 'one' },
  { env: { https_proxy: 'ONE', HTTPS_PROXY: 'TWO' }, url: 'https://a.test/', way: 'one' },
  { env: { https_proxy: '', HTTPS_PROXY: 'TWO' }, url: 'https://a.test/', way: 'two' },
  { env: { all_proxy: 'http://ONE' }, url: 'http://a.test/', way: 'one' },
  { env: { ALL_PROXY: 'http://ONE' }, url: 'https://a.test/', way: 'one' },
  { env: { all_proxy: 'ONE', ALL_PROXY: 'TWO' }, url: 'http://a.test/', way: 'one' },
  { env: { http_proxy: 'ONE', all_proxy: 'TWO' }, url: 'http://a.test/', way: 'one' },
  { env: { http_proxy: 'ONE', all_proxy: 'TWO' }, url: 'https://a.test/', way: 'two' },
  { env: { http_proxy: '', all_proxy: 'TWO' }, url: 'http://a.test/', way: 'two' },
  { env: { http_proxy: 'user:secret@ONE/' }, url: 'http://a.test/', way: 'one' },
  // curl never reads HTTP_PROXY, we do outside CGI.
  { env: { HTTP_PROXY: 'ONE' }, url: 'http://a.test/', way: 'one', curl: 'straight' },
  { env: { HTTP_PROXY: 'ONE', REQUEST_METHOD: 'GET' }, url: 'http://a.test/', way: 'straight' },
  { env: { ...ONE, REQUEST_METHOD: 'GET' }, url: 'http://a.test/', way: 'one' },
  { env: { http_proxy: 'ONE', HTTP_PROXY: 'TWO' }, url: 'http://a.test/', way: 'one' },
  // Names.
  { env: excluding('a.test'), url: 'http://a.test/', way: 'straight' },
  { env: excluding('a.test'), url: 'http://www.a.test/', way: 'straight' },
  { env: excluding('a.test'), url: 'http://nota.test/', way: 'one' },
  { env: excluding('a.test'), url: 'http://a.test.example/', way: 'one' },
  { env: excluding('.a.test'), url: 'http://www.a.test/', way: 'straight' },
  { env: excluding('.a.test'), url: 'http://a.test/', way: 'straight' },
  { env: excluding('A.TEST'), url: 'http://www.a.test/', way: 'straight' },
  { env: excluding('a.test'), url: 'http://A.Test/', way: 'straight' },
  { env: excluding('a.test.'), url: 'http://a.test/', way: 'straight' },
  { env: excluding('a.test'), url: 'http://a.test./', way: 'straight' },
  { env: excluding('test'), url: 'http://a.test/', way: 'straight' },
  { env: excluding('b.test, c.test,,a.test'), url: 'http://a.test/', way: 'straight' },
  { env: excluding('b.test a.test'), url: 'http://a.test/', way: 'straight' },
  { env: excluding('*'), url: 'http://a.test/', way: 'straight' },
  { env: { ...ONE, NO_PROXY: 'a.test' }, url: 'http://a.test/', way: 'straight' },
  { env: { ...ONE, no_proxy: 'b.test', NO_PROXY: 'a.test' }, url: 'http://a.test/', way: 'one' },
  { env: { ...ONE, no_proxy: '', NO_PROXY: 'a.test' }, url: 'http://a.test/', way: 'straight' },
  { env: excluding('*.a.test'), url: 'http://www.a.test/', way: 'straight', curl: 'one' },
  { env: excluding('b.test,*'), url: 'http://a.test/', way: 'straight', curl: 'one' },
  { env: excluding('bücher.test'), url: 'http://bücher.test/', way: 'straight', curl: 'one' },
  { env: excluding('xn--bcher-kva.test'), url: 'http://bücher.test/', way: 'straight' },
  { env: excluding('<local>'), url: 'http://intranet/', way: 'straight', curl: 'one' },
  { env: excluding('<local>'), url: 'http://intranet.test/', way: 'one' },
  // Without an entry the loopback is no exception.
  { env: ONE, url: 'http://127.0.0.9:PORT/', way: 'one' },
  { env: ONE, url: 'http://localhost:PORT/', way: 'one' },
  // Ports: curl knows none.
  { env: excluding('a.test:PORT'), url: 'http://a.test:PORT/', way: 'straight', curl: 'one' },
  { env: excluding('.a.test:PORT'), url: 'http://b.a.test:PORT/', way: 'straight', curl: 'one' },
  { env: excluding('a.test:1'), url: 'http://a.test:PORT/', way: 'one' },
  { env: excluding('a.test:80'), url: 'http://a.test/', way: 'straight', curl: 'one' },
  { env: excluding('127.0.0.9:PORT'), url: 'http://127.0.0.9:PORT/', way: 'straight', curl: 'one' },
  { env: excluding('[::1]:PORT'), url: 'http://[::1]:PORT/', way: 'straight', curl: 'one' },
  { env: excluding('[::1]:1'), url: 'http://[::1]:PORT/', way: 'one' },
  // Addresses and networks.
  { env: excluding('127.0.0.9'), url: 'http://127.0.0.9:PORT/', way: 'straight' },
  { env: excluding('127.0.0.9'), url: 'http://127.0.0.8:PORT/', way: 'one' },
  { env: excluding('0.0.9'), url: 'http://127.0.0.9:PORT/', way: 'one' },
  { env: excluding('127.0.0.0/24'), url: 'http://127.0.0.9:PORT/', way: 'straight' },
  { env: excluding('127.0.0.0/24'), url: 'http://127.0.1.9:PORT/', way: 'one' },
  { env: excluding('127.0.0.8/29'), url: 'http://127.0.0.15:PORT/', way: 'straight' },
  { env: excluding('127.0.0.8/29'), url: 'http://127.0.0.16:PORT/', way: 'one' },
  { env: excluding('0.0.0.0/0'), url: 'http://127.0.0.9:PORT/', way: 'straight', curl: 'one' },
  { env: excluding('127.0.0.0/24'), url: 'http://a.test/', way: 'one' },
  { env: excluding('127.0/16'), url: 'http://127.0.0.9:PORT/', way: 'straight', curl: 'one' },
  { env: excluding('::1'), url: 'http://[::1]:PORT/', way: 'straight' },
  { env: excluding('[::1]'), url: 'http://[::1]:PORT/', way: 'straight', curl: 'one' },
  { env: excluding('0:0:0:0:0:0:0:1'), url: 'http://[::1]:PORT/', way: 'straight', curl: 'one' },
  { env: excluding('::/64'), url: 'http://[::1]:PORT/', way: 'straight', curl: 'one' },
  { env: excluding('::2/128'), url: 'http://[::1]:PORT/', way: 'one' },
  { env: excluding('fd00::/8'), url: 'http://[::1]:PORT/', way: 'one' },
]

/** Puts real places where the table has words. */
function place(text: string, one: string, two: string, port: number): string {
  return text.replace('ONE', one).replace('TWO', two).replace('PORT', String(port))
}

function placeAll(env: Environment, one: string, two: string, port: number): Environment {
  const entries = Object.entries(env).map(([name, value = '']) => {
    return [name, place(value, one, two, port)]
  })
  return Object.fromEntries(entries) as Environment
}

test.each(ROWS)('proxyFromEnvironment() $env sends $url $way', ({ env, url, way }) => {
  const choose = proxyFromEnvironment(placeAll(env, 'one.test:3128', 'two.test:3128', 8080))
  const chosen = choose?.(HttpUrl.parse(url.replace('PORT', '8080')).origin)

  const names = { one: 'one.test:3128', two: 'two.test:3128' }
  const seen = typeof chosen === 'string' ? chosen.replace(/^.*@|^http:\/\/|\/$/g, '') : undefined
  expect(seen).toBe(way === 'straight' ? undefined : names[way])
})

test('proxyFromEnvironment() agrees with curl but where the table says so', async () => {
  const asked = new Set<string>()
  const answer = (name: string) => (socket: Socket) => {
    socket.once('data', (bytes: Buffer) => {
      // CONNECT, or GET with the whole URL, and the row in either.
      asked.add(`${name} ${/x-row: (\d+)/i.exec(bytes.toString())?.[1]}`)
      socket.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n')
    })
  }
  await using one = await LoopbackServer.open(answer('one'))
  await using two = await LoopbackServer.open(answer('two'))
  const unused = await LoopbackServer.open()
  const { port } = unused
  await unused[Symbol.asyncDispose]()

  const wrong: string[] = []
  const rows = [...ROWS.entries()]
  const workers = Array.from({ length: 8 }, async () => {
    for (let next = rows.shift(); next !== undefined; next = rows.shift()) {
      const [index, { env, url, way, curl = way }] = next
      const placed = placeAll(env, `127.0.0.1:${one.port}`, `127.0.0.1:${two.port}`, port)
      await runCurl({ index, env: placed, url: url.replace('PORT', String(port)) })
      const ways: readonly Way[] = ['one', 'two']
      const went = ways.find((name) => asked.has(`${name} ${index}`)) ?? 'straight'
      if (went === way || went === curl) continue
      wrong.push(`${JSON.stringify(env)} ${url}: curl goes ${went}`)
    }
  })
  await Promise.all(workers)

  expect(wrong).toEqual([])
})

interface CurlRun {
  readonly index: number
  readonly env: Environment
  readonly url: string
}

/** Fetches a URL; that it fails on the straight way is as good as an answer. */
function runCurl({ index, env, url }: CurlRun): Promise<void> {
  const { hostname } = new URL(url)
  const straight = [
    '--resolve',
    `${hostname}:80:127.0.0.1`,
    '--resolve',
    `${hostname}:443:127.0.0.1`,
  ]
  const isName = /[a-z]/.test(hostname)
  const header = ['-H', `X-Row: ${index}`, '--proxy-header', `X-Row: ${index}`]
  const args = ['-q', '-s', '-o', '/dev/null', '-m', '5', ...(isName ? straight : []), ...header]
  // A name in Unicode is read by the rules of the locale.
  const options = { env: { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', ...env } }
  return new Promise((resolve) => {
    execFile('curl', [...args, url], options, () => resolve())
  })
}

test.each([
  [{ HTTP_PROXY: 'socks4://secret@proxy.test' }, 'HTTP_PROXY', 'got socks4:'],
  [{ https_proxy: 'http://user:sec ret@proxy.test:99999' }, 'https_proxy', 'cannot be read'],
  [{ ALL_PROXY: 'http://user:secret@proxy.test/path' }, 'ALL_PROXY', 'has a path'],
  [{ http_proxy: 'user:p://secret@proxy.test' }, 'http_proxy', 'cannot be read'],
  [{ all_proxy: 'http://:secret@proxy.test' }, 'all_proxy', 'a password without a user'],
])('proxyFromEnvironment() refuses %j by the variable, without a secret', (env, option, why) => {
  const read = (): unknown => proxyFromEnvironment(env)

  expect(read).toThrow(expect.objectContaining({ code: 'config', option }))
  expect(read).toThrow(why)
  expect(read).toThrow(option)
  expect(read).not.toThrow(/sec/)
})

test('proxyFromEnvironment() gives nothing where no variable names a proxy', () => {
  expect(proxyFromEnvironment({ NO_PROXY: 'a.test', HTTP_PROXY: ' ', https_proxy: '' })).toBe(
    undefined,
  )
})

test('proxyFromEnvironment() holds addresses of IPv4 in IPv6 to the rules of IPv4', () => {
  const choose = proxyFromEnvironment(excluding('10.0.0.0/8'))

  expect(choose?.(HttpUrl.parse('http://[::ffff:10.1.2.3]/').origin)).toBeUndefined()
  expect(choose?.(HttpUrl.parse('http://[::ffff:11.1.2.3]/').origin)).toBe('http://ONE')
})

test.each([
  '192.168.*',
  '*foo.test',
  '<-loopback>',
  'http://u:secret@b.test',
  'a..b',
  '10.0.0.0/33',
  'a.test:0',
  '[a.test]',
  'fe80::1%eth0',
])('proxyFromEnvironment() passes over %s in NO_PROXY, as curl does', (entry) => {
  const chooser = proxyFromEnvironment({ ...ONE, NO_PROXY: `${entry}, c.test` })
  const way = (url: string): unknown => chooser?.(HttpUrl.parse(url).origin)

  expect(way('http://c.test/')).toBeUndefined()
  expect(way('http://d.test/')).toBe('http://ONE')
  expect(proxyFromEnvironment({ NO_PROXY: entry })).toBeUndefined()
})

import { expect, test } from 'vitest'
import { ConfigError } from '../errors.ts'
import { parseProxy } from './proxy.ts'

test.each([
  ['http://proxy.test:3128', { type: 'http', host: 'proxy.test', port: 3128 }],
  ['http://proxy.test', { type: 'http', host: 'proxy.test', port: 80 }],
  ['http://proxy.test:80/', { type: 'http', host: 'proxy.test', port: 80 }],
  ['HTTPS://Proxy.Test', { type: 'https', host: 'proxy.test', port: 443 }],
  ['http://[2001:db8::1]:8080', { type: 'http', host: '2001:db8::1', port: 8080 }],
  ['socks5://Proxy.Test', { type: 'socks5', port: 1080, host: 'proxy.test', resolveLocally: true }],
  ['socks5h://[::1]:9050', { type: 'socks5', host: '::1', port: 9050, resolveLocally: false }],
  ['http://us%40er:p%3Ass@p.test', { credentials: { username: 'us@er', password: 'p:ss' } }],
  ['socks5://user@p.test', { credentials: { username: 'user', password: '' } }],
  ['socks5h://us%3Aer:%C3%A9@p.test', { credentials: { username: 'us:er', password: '\u00e9' } }],
  ['http://p.test', { credentials: undefined, resolveLocally: false, tls: {} }],
])('parseProxy() reads %s', (url, expected) => {
  expect(parseProxy(url)).toMatchObject(expected)
})

test('parseProxy() gives what cannot be changed', () => {
  const proxy = parseProxy('http://user:password@p.test')

  expect(Object.isFrozen(proxy)).toBe(true)
  expect(Object.isFrozen(proxy.credentials)).toBe(true)
})

test('parseProxy() takes settings of TLS and fields beside the URL', () => {
  const tls = { insecure: true }

  const proxy = parseProxy({ url: 'https://p.test', tls, headers: { 'X-Team': 'blue' } })

  expect(proxy.tls).toBe(tls)
  expect([...proxy.headers]).toEqual([['X-Team', 'blue']])
})

test.each([
  '',
  'proxy.test:3128',
  '//proxy.test',
  'socks4://user:S3CRET@p.test',
  'ftp://user:S3CRET@p.test',
  'constructor://user:S3CRET@p.test',
  'http://user:S3CRET@p.test:99999',
  'http://user:S3CRET@',
  'socks5://user:S3CRET@',
  'socks5://p%2Ftest',
  'http://user:S3CRET@p.test/path',
  'http://user:S3CRET@p.test/?query',
  'socks5://user:S3CRET@p.test#fragment',
  'http://:S3CRET@p.test',
  'http://us%3Aer:S3CRET@p.test',
  'http://user:S3CRET%FF@p.test',
  'http://user:S3CRET%0D%0A@p.test',
  `socks5://user:S3CRET${'x'.repeat(250)}@p.test`,
  'socks5://p.test:0',
])('parseProxy() fails with a ConfigError for %s, without its password', (url) => {
  let error: unknown
  try {
    parseProxy(url)
  } catch (failure) {
    error = failure
  }

  expect(error).toBeInstanceOf(ConfigError)
  expect(error).toMatchObject({ option: 'proxy' })
  expect((error as Error).message).toMatch(/^Cannot use the proxy: /)
  expect(`${(error as Error).stack} ${JSON.stringify(error)}`).not.toContain('S3CRET')
})

test.each([
  [{ 'Bad Name': 'x' }],
  [{ Name: 'S3CRET\r\n' }],
  [{ Host: 'x' }],
  [{ 'content-length': '0' }],
  [{ 'Transfer-Encoding': 'chunked' }],
])('parseProxy() fails with a ConfigError for the fields %j', (headers) => {
  expect(() => parseProxy({ url: 'http://p.test', headers })).toThrow(ConfigError)
  expect(() => parseProxy({ url: 'http://p.test', headers })).not.toThrow('S3CRET')
})

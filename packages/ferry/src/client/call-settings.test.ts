import { expect, test } from 'vitest'
import { FakeClock } from '../testing/fake-clock.ts'
import { HttpUrl } from '../transport/http-url.ts'
import type { CallOptions, CommonOptions } from './call-options.ts'
import {
  type CallSettings,
  isStreamed,
  resolveCallSettings,
  resolveClientSettings,
} from './call-settings.ts'
import type { CookieJar } from './cookies/cookie-jar.ts'
import type { Interceptor } from './interceptor.ts'
import { RateLimiter } from './rate-limit/rate-limiter.ts'

const CLIENT: CallSettings = resolveClientSettings({})

test('resolveClientSettings() fills in the defaults', () => {
  expect(CLIENT).toMatchObject({
    responseFormat: 'json',
    raiseForStatus: true,
    timeoutMs: 30_000,
    attemptTimeoutMs: Number.POSITIVE_INFINITY,
    maxRedirects: 10,
    decompress: true,
    maxBytes: 104_857_600,
    limiters: undefined,
    jar: undefined,
    aroundCall: [],
    aroundAttempt: [],
    secretHeaders: [],
  })
  expect(CLIENT.retry).toMatchObject({ retries: 3, retryDelayMs: 1000 })
})

test('resolveCallSettings() gives the settings of the client to a call that says nothing', () => {
  expect(resolveCallSettings({}, CLIENT)).toBe(CLIENT)
  expect(resolveCallSettings({ headers: {}, json: 1, timeoutMs: undefined }, CLIENT)).toBe(CLIENT)
})

test.each<[CallOptions, Partial<CallSettings>]>([
  [{ responseFormat: 'text' }, { responseFormat: 'text' }],
  [{ raiseForStatus: false }, { raiseForStatus: false }],
  [{ timeoutMs: 5 }, { timeoutMs: 5 }],
  [{ attemptTimeoutMs: 5 }, { attemptTimeoutMs: 5 }],
  [{ maxRedirects: 0 }, { maxRedirects: 0 }],
  [{ decompress: false }, { decompress: false }],
  [{ maxBytes: 0 }, { maxBytes: 0 }],
  [{ timeoutMs: Number.POSITIVE_INFINITY }, { timeoutMs: Number.POSITIVE_INFINITY }],
])('resolveCallSettings() puts %j over the client', (options, expected) => {
  expect(resolveCallSettings(options, CLIENT)).toEqual({ ...CLIENT, ...expected })
})

test('resolveCallSettings() sees every option of the retries', () => {
  const options = {
    retries: 1,
    retryDelayMs: 2,
    maxRetryDelayMs: 3000,
    retryBackoff: 'fixed',
    jitter: 'full',
    retryStatuses: [404],
    retryMethods: ['POST'],
    retryOnTimeout: false,
    maxRetryAfterMs: 4,
    shouldRetry: () => true,
  } as const

  for (const [name, value] of Object.entries(options)) {
    const { retry } = resolveCallSettings({ [name]: value }, CLIENT)
    const expected = Array.isArray(value) ? new Set(value) : value
    expect(retry[name as keyof typeof retry], name).toEqual(expected)
  }
})

test('resolveCallSettings() gives limits on parts of the exchange to the pool', () => {
  const options = {
    poolTimeoutMs: 1,
    headersTimeoutMs: 2,
    bodyTimeoutMs: 3,
    continueTimeoutMs: 4,
  }

  expect(resolveCallSettings(options, CLIENT).timeouts).toEqual(options)
  expect(resolveCallSettings({ bodyTimeoutMs: 3 }, CLIENT).timeouts).toEqual({ bodyTimeoutMs: 3 })
})

test('resolveCallSettings() puts interceptors of a call inside those of the client, by scope', () => {
  const make = (scope?: 'call' | 'attempt'): Interceptor => (scope === undefined ? {} : { scope })
  const [a, b, c, d] = [make(), make('attempt'), make('call'), make('attempt')] as const
  const client = resolveClientSettings({ interceptors: [a, b] })

  const call = resolveCallSettings({ interceptors: [d, c] }, client)

  expect(call.aroundCall).toEqual([a, c])
  expect(call.aroundAttempt).toEqual([b, d])
  expect(call.aroundCall[1]).toBe(c)
  expect(call.aroundAttempt[1]).toBe(d)
})

test.each<CommonOptions & { readonly responseFormat?: never }>([
  { timeoutMs: 0 },
  { timeoutMs: -1 },
  { timeoutMs: Number.NaN },
  { attemptTimeoutMs: 0 },
  { maxRedirects: -1 },
  { maxRedirects: 0.5 },
  { maxBytes: -1 },
  { maxBytes: Number.NaN },
  { retries: -1 },
  { retryDelayMs: Number.NaN },
  { responseFormat: 'xml' as never },
])('resolveCallSettings() and resolveClientSettings() refuse %j', (options) => {
  const [option] = Object.keys(options)
  const refusal = expect.objectContaining({ code: 'config', option }) as Error

  expect(() => resolveCallSettings(options, CLIENT)).toThrow(refusal)
  expect(() => resolveClientSettings(options)).toThrow(refusal)
})

test('isStreamed() of what is given as it comes', () => {
  const streamed = (['json', 'text', 'bytes', 'stream', 'response'] as const).filter((name) =>
    isStreamed({ ...CLIENT, responseFormat: name }),
  )

  expect(streamed).toEqual(['stream', 'response'])
})

test('resolveClientSettings() makes a limiter of maxRateLimit, and prefers one that is given', () => {
  const clock = new FakeClock()
  const rateLimiter = new RateLimiter({ clock })

  expect(resolveClientSettings({ maxRateLimit: 0 }).limiters).toBeUndefined()
  expect(
    String(resolveClientSettings({ maxRateLimit: 5, clock }).limiters?.limiterFor('any')),
  ).toContain('5/s')
  expect(resolveClientSettings({ maxRateLimit: 5, rateLimiter }).limiters).toBe(rateLimiter)
})

test('resolveClientSettings() makes a jar for true alone, and takes one that is given', async () => {
  const jar = resolveClientSettings({ cookies: true }).jar as CookieJar
  const url = HttpUrl.parse('http://h.example/')

  await jar.setCookies(url, ['a=1'])
  expect(await jar.getCookies(url)).toBe('a=1')
  expect(resolveClientSettings({ cookies: false }).jar).toBeUndefined()
  expect(resolveClientSettings({ cookies: jar }).jar).toBe(jar)
})

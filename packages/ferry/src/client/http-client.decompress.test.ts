/** What `decompress` does to the request, to the content, and to what a cache keeps of it. */
import { gunzipSync, gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { type Answer, HttpTestServer } from '../testing/http-test-server.ts'
import { cacheResponses } from './cache/cache-responses.ts'
import { HttpClient } from './http-client.ts'

const TEXT = 'text '.repeat(100)
const QUICK = { retries: 0, responseFormat: 'bytes', proxy: false } as const
const CODED = { decompress: false } as const

/** Encodes whatever it is asked for, as some servers do; Vary is forgotten as often. */
const alwaysGzip: Answer = (_, response) => {
  response.setHeader('Cache-Control', 'max-age=60').setHeader('Content-Encoding', 'gzip')
  response.end(gzipSync(TEXT))
}

test('a call with decompress: false asks for no coding, and one with true does', async () => {
  await using server = await HttpTestServer.start((_, response) => void response.end())
  await using decoding = new HttpClient(QUICK)
  await using leaving = new HttpClient({ ...QUICK, ...CODED })

  await decoding.get(server.url(), CODED)
  await decoding.get(server.url())
  await leaving.get(server.url())
  await leaving.get(server.url(), { decompress: true })

  const all = 'gzip, deflate, br, zstd'
  expect(server.received('accept-encoding')).toEqual([undefined, all, undefined, all])
})

test('an Accept-Encoding of the caller is sent whatever becomes of the content', async () => {
  await using server = await HttpTestServer.start((_, response) => void response.end())
  await using client = new HttpClient({ ...QUICK, headers: { 'Accept-Encoding': 'gzip' } })

  await client.get(server.url(), CODED)
  await client.get(server.url(), { ...CODED, headers: { 'Accept-Encoding': 'br' } })

  expect(server.received('accept-encoding')).toEqual(['gzip', 'br'])
})

test('content is left as it came with decompress: false', async () => {
  await using server = await HttpTestServer.start(alwaysGzip)
  await using client = new HttpClient(QUICK)

  expect(String(gunzipSync(await client.get(server.url(), CODED)))).toBe(TEXT)
  expect(String(await client.get(server.url()))).toBe(TEXT)
})

test.each([
  ['decoded first', [{}, CODED]],
  ['coded first', [CODED, {}]],
])('a cache keeps decoded and coded content apart: %s', async (_, orders) => {
  await using server = await HttpTestServer.start(alwaysGzip)
  await using client = new HttpClient({
    ...QUICK,
    // So that fields do not tell the two kinds of calls apart.
    headers: { 'Accept-Encoding': 'gzip' },
    interceptors: [cacheResponses()],
  })

  const read = async (options: object): Promise<string> => {
    const response = await client.stream('GET', server.url(), options)
    const bytes = await response.bytes()
    const text = String('decompress' in options ? gunzipSync(bytes) : bytes)
    // Only what the store gives has an Age.
    return `${response.headers.has('age') ? 'kept' : 'sent'} ${text}`
  }

  for (const options of orders) expect(await read(options)).toBe(`sent ${TEXT}`)
  for (const options of orders) expect(await read(options)).toBe(`kept ${TEXT}`)
})

test('calls do not wait for one that is under way when they want the content otherwise', async () => {
  await using server = await HttpTestServer.start(alwaysGzip)
  await using client = new HttpClient({
    ...QUICK,
    headers: { 'Accept-Encoding': 'gzip' },
    interceptors: [cacheResponses({ coalesce: true })],
  })

  const [decoded, coded] = await Promise.all([
    client.get(server.url()),
    client.get(server.url(), CODED),
  ])

  expect(String(decoded)).toBe(TEXT)
  expect(String(gunzipSync(coded))).toBe(TEXT)
})

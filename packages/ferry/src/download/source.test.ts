import { expect, test } from 'vitest'
import { HttpUrl } from '../transport/http-url.ts'
import type { Identity } from './identity.ts'
import { mayContinueFrom, sourceOf } from './source.ts'

const VERSION: Identity = { size: 5, etag: '"5f0c-17a2"' }
const DIGEST: Identity = { size: 5, etag: '"9e107d9d372bb6826bd81d3542a419d6-3"' }

const urls: readonly [from: string, to: string, version: boolean, digest: boolean][] = [
  ['http://h/a', 'http://h/a', true, true],
  ['http://h/a#x', 'http://user:pass@h/a#y', true, true],
  ['http://h/a?b=1', 'http://h/a?b=1', true, true],
  ['http://h/a?b=1', 'http://h/a?b=2', false, true],
  ['http://h/a?b=1', 'http://h/a', false, true],
  ['http://h/a', 'http://h/a?b=1', false, true],
  ['http://h/a', 'http://h/a?', false, true],
  ['http://h/a', 'http://h/b', false, false],
  ['http://h/a', 'http://h:81/a', false, false],
  ['http://h/a', 'https://h/a', false, false],
  ['http://h/a', 'http://g/a', false, false],
]

test.each(urls)('what came from %s is continued from %s: %s, by digest: %s', async (...row) => {
  const [from, to, version, digest] = row
  const source = await sourceOf(HttpUrl.parse(from))

  expect(await mayContinueFrom(source, HttpUrl.parse(to), VERSION)).toBe(version)
  expect(await mayContinueFrom(source, HttpUrl.parse(to), DIGEST)).toBe(digest)
})

test('sourceOf() keeps no secret, and nothing that two journals could be matched by', async () => {
  const url = HttpUrl.parse('http://user:s3cret@h/a?token=hush')

  const source = await sourceOf(url)

  expect(source).toEqual({
    url: 'http://h/a',
    salt: expect.stringMatching(/^[0-9a-f]{32}$/),
    queryDigest: expect.stringMatching(/^[0-9a-f]{64}$/),
  })
  expect((await sourceOf(url)).queryDigest).not.toBe(source.queryDigest)
})

import { expect, test } from 'vitest'
import {
  ask,
  checksum,
  create,
  FILENAME,
  openTusSite,
  patch,
  post,
} from '../../testing/tus-requests.ts'

test('A length may come with a later piece', async () => {
  await using site = await openTusSite()
  const url = await create(site, { 'Upload-Defer-Length': '1', ...FILENAME })
  await patch(site, url, 0, { body: 'hello' })
  const before = await ask(site, 'HEAD', url)

  const beyond = await patch(site, url, 5, { body: 'xx', fields: { 'Upload-Length': '6' } })
  const elsewhere = await patch(site, url, 4, { body: 'x', fields: { 'Upload-Length': '9' } })
  const last = await patch(site, url, 5, { fields: { 'Upload-Length': '5' } })
  const again = await patch(site, url, 5, { fields: { 'Upload-Length': '5' } })

  expect(before.fields).toMatchObject({ 'upload-defer-length': '1' })
  expect(before.fields['upload-length']).toBeUndefined()
  expect(beyond.status).toBe(400)
  expect(elsewhere.status).toBe(409)
  expect(last).toMatchObject({ status: 204, fields: { 'upload-offset': '5' } })
  expect(again).toMatchObject({ status: 204, fields: { 'upload-offset': '5' } })
  expect(site.content('a.txt')).toBe('hello')
})

test('The length may come before the last bytes', async () => {
  await using site = await openTusSite()
  const url = await create(site, { 'Upload-Defer-Length': '1', ...FILENAME })

  await patch(site, url, 0, { body: 'he', fields: { 'Upload-Length': '5' } })
  const between = await ask(site, 'HEAD', url)
  await patch(site, url, 2, { body: 'llo' })

  expect(between.fields).toMatchObject({ 'upload-offset': '2', 'upload-length': '5' })
  expect(site.content('a.txt')).toBe('hello')
})

test.each(['sha1', 'sha256', 'sha512', 'md5'])('A piece is held against its %s', async (name) => {
  await using site = await openTusSite()
  const url = await create(site, { 'Upload-Length': '10', ...FILENAME })
  const fields = { 'Upload-Checksum': checksum(name, 'hello') }

  const wrong = await patch(site, url, 0, { body: 'jello', fields })
  const right = await patch(site, url, 0, { body: 'hello', fields })

  expect(wrong.status).toBe(460)
  expect(right).toMatchObject({ status: 204, fields: { 'upload-offset': '5' } })
})

test.each(['sha1', 'sha256', 'sha512', 'md5'])('A %s may come behind the content', async (name) => {
  await using site = await openTusSite()
  const url = await create(site, { 'Upload-Length': '5', ...FILENAME })
  const fields = { Trailer: 'Upload-Checksum' }
  const trailers = { 'Upload-Checksum': checksum(name, 'hello') }
  const offsetNow = async (): Promise<unknown> =>
    (await ask(site, 'HEAD', url)).fields['upload-offset']

  const wrong = await patch(site, url, 0, { body: ['jel', 'lo'], fields, trailers })
  const missing = await patch(site, url, 0, { body: ['hel', 'lo'], fields })
  expect([wrong.status, missing.status, await offsetNow()]).toEqual([460, 400, '0'])

  const right = await patch(site, url, 0, { body: ['hel', 'lo'], fields, trailers })
  expect(right).toMatchObject({ status: 204, fields: { 'upload-offset': '5' } })
  expect(site.content('a.txt')).toBe('hello')
})

test('Answers tell when an unfinished upload expires, and then it is gone', async () => {
  await using site = await openTusSite({ expiresInMs: 60_000, keepCompletedMs: 60_000 })
  const created = await post(site, { 'Upload-Length': '5' })
  const url = site.resolve(created)
  const expires = new Date(site.uploads.epochNow + 60_000).toUTCString()

  expect(created.fields['upload-expires']).toBe(expires)
  expect((await patch(site, url, 0, { body: 'he' })).fields['upload-expires']).toBe(expires)
  expect((await ask(site, 'HEAD', url)).fields['upload-expires']).toBe(expires)
  site.uploads.clock.advance(60_000)
  expect([404, 410]).toContain((await ask(site, 'HEAD', url)).status)

  const whole = await post(site, { 'Upload-Length': '2' }, 'hi')
  expect(whole.fields['upload-expires']).toBeUndefined()
})

test('Partial uploads are put together to one', async () => {
  await using site = await openTusSite()
  const partial = { 'Upload-Concat': 'partial' }
  const one = await create(site, { 'Upload-Length': '5', ...partial })
  const two = await create(site, { 'Upload-Length': '3', ...partial })
  await patch(site, one, 0, { body: 'hello' })
  const concat = `final;${one} ${new URL(two).pathname}`

  const early = await post(site, { 'Upload-Concat': concat, ...FILENAME })
  await patch(site, two, 0, { body: 'you' })
  const final = await create(site, { 'Upload-Concat': concat, ...FILENAME })

  expect(early.status).toBe(400)
  expect(site.content('a.txt')).toBe('helloyou')
  expect((await ask(site, 'HEAD', one)).fields).toMatchObject({
    'upload-offset': '5',
    'upload-concat': 'partial',
  })
  expect((await ask(site, 'HEAD', final)).fields).toMatchObject({
    'upload-offset': '8',
    'upload-length': '8',
    'upload-concat': concat,
    'upload-metadata': 'filename YS50eHQ=',
  })
  expect((await patch(site, final, 8, { body: 'x' })).status).toBe(403)
})

test('Only partial uploads are put together', async () => {
  await using site = await openTusSite()
  const url = await create(site, { 'Upload-Length': '5' })

  const answer = await post(site, { 'Upload-Concat': `final;${url}` })

  expect(answer).toMatchObject({
    status: 400,
    body: 'Cannot put uploads together that are not partial ones\n',
  })
})

test('The sum of the parts may not be larger than an upload may be', async () => {
  await using site = await openTusSite({ limits: { maxUploadBytes: 8 } })
  const partial = { 'Upload-Length': '5', 'Upload-Concat': 'partial' }
  const one = await create(site, partial)
  const two = await create(site, partial)
  await patch(site, one, 0, { body: 'hello' })
  await patch(site, two, 0, { body: 'world' })

  const sum = await post(site, { 'Upload-Concat': `final;${one} ${two}`, ...FILENAME })
  const alone = await post(site, { 'Upload-Concat': `final;${one}`, ...FILENAME })

  expect([sum.status, alone.status]).toEqual([413, 201])
  expect(site.content('a.txt')).toBe('hello')
})

test('A part may be used more than once, and ends where its client says', async () => {
  await using site = await openTusSite()
  const one = await create(site, { 'Upload-Length': '2', 'Upload-Concat': 'partial' })
  await patch(site, one, 0, { body: 'ha' })

  await create(site, { 'Upload-Concat': `final;${one} ${one}`, ...FILENAME })
  await create(site, { 'Upload-Concat': `final;${one}` })
  const ended = await ask(site, 'DELETE', one)

  expect(site.content('a.txt')).toBe('haha')
  expect(ended.status).toBe(204)
  expect((await ask(site, 'HEAD', one)).status).toBe(404)
})

test('Parts that are put together again are the upload that they became', async () => {
  await using site = await openTusSite()
  const one = await create(site, { 'Upload-Length': '2', 'Upload-Concat': 'partial' })
  await patch(site, one, 0, { body: 'ha' })
  const concat = { 'Upload-Concat': `final;${one}`, ...FILENAME }

  const urls = await Promise.all([create(site, concat), create(site, concat)])
  urls.push(await create(site, concat))
  const other = await create(site, { ...concat, 'Upload-Metadata': 'filename Yi50eHQ=' })

  expect(new Set(urls).size).toBe(1)
  expect(other).not.toBe(urls[0])
  expect(site.content('a.txt')).toBe('ha')
  expect(site.content('b.txt')).toBe('ha')
  expect(site.content('a (1).txt')).toBeUndefined()
})

test('Parts that were put together are known as long as what they became', async () => {
  await using site = await openTusSite()
  const one = await create(site, { 'Upload-Length': '2', 'Upload-Concat': 'partial' })
  await patch(site, one, 0, { body: 'ha' })
  const concat = { 'Upload-Concat': `final;${one}`, ...FILENAME }
  const first = await create(site, concat)
  await ask(site, 'DELETE', one)

  expect(await create(site, concat)).toBe(first)
  await ask(site, 'DELETE', first)
  expect((await post(site, concat)).status).toBe(404)
})

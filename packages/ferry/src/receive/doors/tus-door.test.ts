import { expect, test } from 'vitest'
import {
  ask,
  checksum,
  CONTENT,
  create,
  FILENAME,
  openTusSite,
  patch,
  post,
  VERSION,
} from '../../testing/tus-requests.ts'

type Fields = Readonly<Record<string, string>>

test('OPTIONS tells the versions, extensions, algorithms and the largest upload', async () => {
  await using site = await openTusSite({ limits: { maxUploadBytes: 1000 } })

  const answer = await site.send({ method: 'OPTIONS', url: '/files' })

  expect(answer).toMatchObject({
    status: 204,
    fields: {
      'tus-resumable': '1.0.0',
      'tus-version': '1.0.0',
      'tus-extension':
        'creation,creation-with-upload,creation-defer-length,expiration,checksum,' +
        'checksum-trailer,termination,concatenation,concatenation-repeatable',
      'tus-checksum-algorithm': 'sha1,sha256,sha512,md5',
      'tus-max-size': '1000',
    },
  })
})

test('A file comes in pieces, and is there under its name with the last one', async () => {
  await using site = await openTusSite()
  const url = await create(site, { 'Upload-Length': '10', ...FILENAME })

  const first = await patch(site, url, 0, { body: 'hello' })
  const between = await ask(site, 'HEAD', url)
  const last = await patch(site, url, 5, { body: ['wor', 'ld'] })
  const after = await ask(site, 'HEAD', url)

  expect(first).toMatchObject({ status: 204, fields: { 'upload-offset': '5' } })
  expect(between).toMatchObject({
    status: 200,
    fields: {
      'tus-resumable': '1.0.0',
      'upload-offset': '5',
      'upload-length': '10',
      'upload-metadata': 'filename YS50eHQ=',
      'cache-control': 'no-store',
    },
  })
  expect(last).toMatchObject({ status: 204, fields: { 'upload-offset': '10' } })
  expect(after.fields).toMatchObject({ 'upload-offset': '10', 'upload-length': '10' })
  expect(after.fields['upload-defer-length']).toBeUndefined()
  expect(site.content('a.txt')).toBe('helloworld')
})

test('An upload of length 0 is finished when it is created', async () => {
  await using site = await openTusSite()

  const url = await create(site, { 'Upload-Length': '0', ...FILENAME })

  expect((await ask(site, 'HEAD', url)).fields['upload-offset']).toBe('0')
  expect(site.content('a.txt')).toBe('')
})

test('An upload of length 0 may come with content that is empty', async () => {
  await using site = await openTusSite()
  const fields = { ...CONTENT, 'Upload-Length': '0', ...FILENAME }

  const answer = await site.send({ method: 'POST', url: '/files', fields, body: [] })

  expect(answer).toMatchObject({ status: 201, fields: { 'upload-offset': '0' } })
  expect(site.content('a.txt')).toBe('')
})

test.each([
  ['no length', {}, 400],
  ['two lengths', { 'Upload-Length': '1', 'Upload-Defer-Length': '1' }, 400],
  ['a deferred length but 1', { 'Upload-Defer-Length': '0' }, 400],
  ['a negative length', { 'Upload-Length': '-1' }, 400],
  ['a fraction', { 'Upload-Length': '1.5' }, 400],
  ['more than can be counted', { 'Upload-Length': '9007199254740992' }, 400],
  ['more than the limit', { 'Upload-Length': '101' }, 413],
  ['unreadable metadata', { 'Upload-Length': '1', 'Upload-Metadata': 'a b c' }, 400],
  ['an unknown concatenation', { 'Upload-Length': '1', 'Upload-Concat': 'x' }, 400],
  ['parts that are not there', { 'Upload-Concat': 'final;/files/nothing' }, 404],
  ['another version', { 'Upload-Length': '1', 'Tus-Resumable': '0.2.2' }, 412],
])('A creation with %s is refused', async (_, fields, status) => {
  await using site = await openTusSite({ limits: { maxUploadBytes: 100 } })

  const answer = await post(site, fields)

  expect(answer).toMatchObject({ status, fields: { 'tus-resumable': '1.0.0' } })
  expect(answer.body).toMatch(/^Cannot .*\n$/)
  expect(answer.fields['tus-version']).toBe(status === 412 ? '1.0.0' : undefined)
  expect([...site.core.list()]).toEqual([])
})

test.each([
  ['another media type', 0, { 'Content-Type': 'text/plain' }, 415],
  ['no offset', 0, { 'Upload-Offset': '' }, 400],
  ['a negative offset', 0, { 'Upload-Offset': '-1' }, 400],
  ['an offset before the right one', 0, {}, 409],
  ['an offset behind it', 3, {}, 409],
  ['more than the length', 2, { 'Content-Length': '9' }, 400],
  ['another length', 2, { 'Upload-Length': '6' }, 400],
  ['an unknown algorithm', 2, { 'Upload-Checksum': 'crc32 AAAA' }, 400],
  ['a wrong checksum', 2, { 'Upload-Checksum': checksum('sha1', 'no') }, 460],
])('A piece with %s is refused, and the upload stays as it was', async (_, at, fields, status) => {
  await using site = await openTusSite()
  const url = await create(site, { 'Upload-Length': '5' })
  await patch(site, url, 0, { body: 'ab' })

  const bytes = Number((fields as Fields)['Content-Length'] ?? 3)
  const answer = await patch(site, url, at, { body: 'x'.repeat(bytes), fields })

  expect(answer).toMatchObject({ status, fields: { 'tus-resumable': '1.0.0' } })
  expect(answer.reason === 'Checksum Mismatch').toBe(status === 460)
  expect((await ask(site, 'HEAD', url)).fields['upload-offset']).toBe('2')
})

test('What the server does not know is 404, other methods 405', async () => {
  await using site = await openTusSite()
  const url = await create(site, { 'Upload-Length': '5' })

  expect((await ask(site, 'HEAD', '/files/nothing')).status).toBe(404)
  expect((await patch(site, '/files/nothing', 0, { body: 'x' })).status).toBe(404)
  expect((await ask(site, 'DELETE', '/files/nothing')).status).toBe(404)
  expect(await ask(site, 'PUT', url)).toMatchObject({
    status: 405,
    fields: { allow: 'HEAD, PATCH, DELETE, OPTIONS' },
  })
})

test('Uploads of others are as good as absent', async () => {
  await using site = await openTusSite()
  const url = await create(site, {
    'Upload-Length': '5',
    'X-Owner': 'ann',
    'Upload-Concat': 'partial',
  })
  const theirs = { 'X-Owner': 'bob' }

  expect((await ask(site, 'HEAD', url, theirs)).status).toBe(404)
  expect((await patch(site, url, 0, { body: 'hello', fields: theirs })).status).toBe(404)
  expect((await ask(site, 'DELETE', url, theirs)).status).toBe(404)
  const joined = await post(site, { 'Upload-Concat': `final;${url}`, ...theirs })
  expect(joined.status).toBe(404)
  expect((await ask(site, 'HEAD', url, { 'X-Owner': 'ann' })).status).toBe(200)
})

test('A creation may bring the beginning, or all of it', async () => {
  await using site = await openTusSite()

  const begun = await post(site, { 'Upload-Length': '5' }, 'he')
  const whole = await post(site, { 'Upload-Length': '5', ...FILENAME }, 'hello')

  expect(begun).toMatchObject({ status: 201, fields: { 'upload-offset': '2' } })
  expect((await ask(site, 'HEAD', site.resolve(begun))).fields['upload-offset']).toBe('2')
  expect(whole).toMatchObject({ status: 201, fields: { 'upload-offset': '5' } })
  expect(site.content('a.txt')).toBe('hello')
})

test.each([
  ['a wrong checksum', { 'Upload-Checksum': checksum('sha1', 'no') }, 460],
  ['too much', { 'Upload-Length': '4' }, 400],
  ['another media type', { 'Content-Type': 'text/plain' }, 415],
])('A creation with content and %s leaves nothing behind', async (_, fields, status) => {
  await using site = await openTusSite()

  const answer = await post(site, { 'Upload-Length': '5', ...fields }, 'hello')

  expect(answer.status).toBe(status)
  expect([...site.core.list()]).toEqual([])
})

test('DELETE ends an upload', async () => {
  await using site = await openTusSite()
  const url = await create(site, { 'Upload-Length': '5' })

  expect((await ask(site, 'DELETE', url)).status).toBe(204)
  expect((await ask(site, 'HEAD', url)).status).toBe(404)
})

test('X-HTTP-Method-Override takes the place of the method', async () => {
  await using site = await openTusSite()
  const url = await create(site, { 'Upload-Length': '5', ...FILENAME })
  const fields = { ...CONTENT, 'Upload-Offset': '0', 'X-HTTP-Method-Override': 'PATCH' }

  const answer = await site.send({ method: 'POST', url, body: 'hello', fields })

  expect(answer).toMatchObject({ status: 204, fields: { 'upload-offset': '5' } })
  expect(site.content('a.txt')).toBe('hello')
})

test.each([
  [{}, '/files', /^files\/[0-9a-f]{32}$/],
  [{}, '/files/', /^[0-9a-f]{32}$/],
  [
    { location: 'absolute' as const },
    '/files?a=/b',
    /^http:\/\/127.0.0.1:\d+\/files\/[0-9a-f]{32}$/,
  ],
  [{ location: (id: string) => `https://x/${id}` }, '/files', /^https:\/\/x\/[0-9a-f]{32}$/],
])('A Location is told as %o says, for %s', async (options, url, expected) => {
  await using site = await openTusSite({}, options)

  const answer = await site.send({
    method: 'POST',
    url,
    fields: { ...VERSION, 'Upload-Length': '1' },
  })

  expect(answer.fields.location).toMatch(expected)
})

test('Names are without folders, unless who embeds the door wants them', async () => {
  // dir/a.txt
  const fields = { 'Upload-Length': '0', 'Upload-Metadata': 'filename ZGlyL2EudHh0' }
  await using plain = await openTusSite()
  await using chosen = await openTusSite({}, { chooseName: ({ name, door }) => `${door}/${name}` })

  await create(plain, fields)
  await create(chosen, fields)

  expect(plain.content('a.txt')).toBe('')
  expect(chosen.content('tus/dir/a.txt')).toBe('')
})

test('A failure of the disk is told without its words, and to whoever runs the door', async () => {
  const site = await openTusSite()
  const failure = new Error('Cannot write /secret/path')
  const { blobs } = site.uploads
  const open = blobs.open.bind(blobs)
  blobs.open = async (id) => Object.assign(await open(id), { write: () => Promise.reject(failure) })
  const url = await create(site, { 'Upload-Length': '5' })

  const answer = await patch(site, url, 0, { body: 'hello' })

  expect(answer).toMatchObject({
    status: 500,
    body: 'Cannot take the upload: the server has failed\n',
  })
  await expect(site[Symbol.asyncDispose]()).rejects.toBe(failure)
})

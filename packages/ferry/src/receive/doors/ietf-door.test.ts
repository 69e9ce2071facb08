import { expect, test } from 'vitest'
import {
  append,
  begin,
  BEGINNING,
  digest,
  FILENAME,
  head,
  openIetfSite,
  post,
  TYPES,
  WHOLE,
} from '../../testing/ietf-requests.ts'

type Fields = Readonly<Record<string, string>>

test('A file comes in one request', async () => {
  await using site = await openIetfSite()

  const answer = await post(site, { ...WHOLE, ...FILENAME, 'Content-Type': 'text/plain' }, 'hello')

  const [{ id } = { id: '' }] = [...site.core.list()]
  expect(answer).toMatchObject({
    status: 201,
    fields: { 'upload-complete': '?1', 'upload-offset': '5', location: `files/${id}` },
    body: JSON.stringify({ id, name: 'a.txt', length: 5 }),
    interims: [],
  })
  expect(site.content('a.txt')).toBe('hello')
  expect(site.core.status(id).metadata).toEqual({ filename: 'a.txt', filetype: 'text/plain' })
})

test('A file comes in pieces, and is finished when its client says so', async () => {
  await using site = await openIetfSite({ expiresInMs: 60_000 }, { now: () => 1_700_000_000_000 })
  const created = await post(site, { ...BEGINNING, ...FILENAME, 'Upload-Length': '10' }, 'he')
  const url = site.resolve(created)

  const second = await append(site, url, 2, { body: 'llo' })
  const third = await append(site, url, 5, { body: ['wor', 'ld'] })
  const before = await head(site, url)
  expect(site.content('a.txt')).toBeUndefined()
  const last = await append(site, url, 10, { fields: WHOLE })
  const after = await site.send({ method: 'GET', url })

  const limit = 'max-age=60'
  expect(created).toMatchObject({
    status: 201,
    fields: { 'upload-complete': '?0', 'upload-offset': '2', 'upload-limit': limit },
  })
  expect(second).toMatchObject({
    status: 204,
    fields: { 'upload-complete': '?0', 'upload-offset': '5', 'upload-limit': limit },
  })
  expect(third).toMatchObject({ status: 204, fields: { 'upload-offset': '10' } })
  expect(before).toMatchObject({
    status: 204,
    fields: {
      'upload-complete': '?0',
      'upload-offset': '10',
      'upload-length': '10',
      'upload-limit': limit,
      'cache-control': 'no-store',
    },
  })
  expect(last).toMatchObject({ status: 201, fields: { 'upload-complete': '?1' } })
  expect(after).toMatchObject({
    status: 204,
    fields: { 'upload-complete': '?1', 'upload-offset': '10', 'upload-length': '10' },
  })
  expect(site.content('a.txt')).toBe('helloworld')
})

test('A file whose length nobody knows ends where its last piece does', async () => {
  await using site = await openIetfSite()
  const url = await begin(site)
  expect((await head(site, url)).fields['upload-length']).toBeUndefined()

  await append(site, url, 0, { body: 'hello' })
  const last = await append(site, url, 5, { body: ['wor', 'ld'], fields: WHOLE })

  expect(last.status).toBe(201)
  expect(site.content('a.txt')).toBe('helloworld')
})

test('A length may be told with any piece, and binds then', async () => {
  await using site = await openIetfSite()
  const url = await begin(site)

  await append(site, url, 0, { body: 'he', fields: { 'Upload-Length': '5' } })
  const { fields } = await head(site, url)
  const short = await append(site, url, 2, { body: 'l', fields: WHOLE })

  expect(fields['upload-length']).toBe('5')
  expect(short.status).toBe(400)
})

test('The last request is answered again as it was', async () => {
  await using site = await openIetfSite()
  const url = await begin(site, {}, 'hello')
  const last = { body: 'world', fields: WHOLE }

  const first = await append(site, url, 5, last)
  const again = await append(site, url, 5, last)
  const chunked = await append(site, url, 5, { body: ['world'], fields: WHOLE })
  const empty = await append(site, url, 10, { fields: WHOLE })
  const more = await append(site, url, 10, { body: 'x', fields: WHOLE })

  expect(first.status).toBe(201)
  expect(again).toMatchObject({ status: 201, body: first.body })
  expect(again.fields['upload-complete']).toBe('?1')
  expect([chunked.body, empty.body]).toEqual([first.body, first.body])
  expect(JSON.parse(more.body)).toMatchObject({
    type: `${TYPES}inconsistent-upload-length`,
    status: 400,
  })
  const open = await append(site, url, 10)
  expect(JSON.parse(open.body)).toMatchObject({ type: `${TYPES}completed-upload`, status: 400 })
})

test.each([
  ['no media type', 2, { 'Content-Type': 'text/plain' }, 415, undefined],
  ['no offset', 2, { 'Upload-Offset': '2.0' }, 400, undefined],
  ['a negative offset', 2, { 'Upload-Offset': '-2' }, 400, undefined],
  ['nothing of its end', 2, { 'Upload-Complete': 'true' }, 400, undefined],
  ['another offset', 1, {}, 409, 'mismatching-upload-offset'],
  ['another length', 2, { 'Upload-Length': '6' }, 400, 'inconsistent-upload-length'],
  ['an end elsewhere', 2, { 'Upload-Complete': '?1' }, 400, 'inconsistent-upload-length'],
  ['a wrong digest', 2, { 'Content-Digest': digest('no') }, 400, undefined],
])('A piece with %s is refused, and stays out', async (_, at, fields, status, type) => {
  await using site = await openIetfSite()
  const url = await begin(site, { 'Upload-Length': '10' }, 'ab')

  const answer = await append(site, url, at, { body: 'xyz', fields })

  expect(answer).toMatchObject({
    status,
    fields: { 'content-type': 'application/problem+json', 'upload-complete': '?0' },
  })
  const problem = JSON.parse(answer.body)
  expect(problem.type).toBe(type === undefined ? undefined : `${TYPES}${type}`)
  expect(problem).toMatchObject({ status, title: answer.reason })
  expect(problem.detail).toMatch(/^Cannot /)
  if (status === 409) {
    expect(problem).toMatchObject({ 'expected-offset': 2, 'provided-offset': 1 })
    expect(answer.fields['upload-offset']).toBe('2')
  }
  expect((await head(site, url)).fields['upload-offset']).toBe('2')
})

test('Nothing may go on with an upload that got more than its length', async () => {
  await using site = await openIetfSite()
  const url = await begin(site, { 'Upload-Length': '4' }, 'ab')

  const answer = await append(site, url, 2, { body: ['x', 'y', 'z'] })

  expect(answer.status).toBe(400)
  expect(JSON.parse(answer.body)).toMatchObject({ type: `${TYPES}inconsistent-upload-length` })
  expect((await head(site, url)).status).toBe(404)
})

test.each([
  ['nothing of its end', {}, 400],
  ['two lengths', { ...WHOLE, 'Upload-Length': '6' }, 400],
  ['more than its length', { ...BEGINNING, 'Upload-Length': '4' }, 400],
  ['a wrong digest', { ...WHOLE, 'Content-Digest': digest('no') }, 400],
  ['a wrong digest of the whole', { ...WHOLE, 'Repr-Digest': digest('no') }, 400],
  ['more than the limit', { ...BEGINNING, 'Upload-Length': '101' }, 413],
])('A creation with %s is refused, and leaves nothing behind', async (_, fields, status) => {
  await using site = await openIetfSite({ limits: { maxUploadBytes: 100 } })

  const answer = await post(site, { ...FILENAME, ...(fields as Fields) }, 'hello')

  expect(answer.status).toBe(status)
  expect(answer.fields['upload-limit']).toBe(status === 413 ? 'max-size=100' : undefined)
  expect([...site.core.list()]).toEqual([])
  expect(site.content('a.txt')).toBeUndefined()
})

test('A file whose name is taken is complete all the same, and kept', async () => {
  await using site = await openIetfSite({ collision: 'fail' })
  await post(site, { ...WHOLE, ...FILENAME }, 'first')
  const url = await begin(site, {}, 'sec')

  const refused = await append(site, url, 3, { body: 'ond', fields: WHOLE })

  expect(refused).toMatchObject({ status: 409, fields: { 'upload-complete': '?1' } })
  expect(JSON.parse(refused.body).detail).toBe('Cannot give the upload its name: it is taken')
  expect((await head(site, url)).fields['upload-offset']).toBe('6')
  expect(site.content('a.txt')).toBe('first')
})

test('OPTIONS tells the limits, and what may be appended', async () => {
  await using plain = await openIetfSite()
  const door = { maxAppendBytes: 100, minAppendBytes: 10 }
  await using limited = await openIetfSite({ limits: { maxUploadBytes: 1000 } }, door)
  const request = { method: 'OPTIONS', url: '/files' }

  const { fields } = await plain.send(request)
  expect(fields).toMatchObject({
    'upload-limit': 'min-size=0',
    'accept-patch': 'application/partial-upload',
  })
  expect((await limited.send(request)).fields['upload-limit']).toBe(
    'max-size=1000, max-append-size=100, min-append-size=10',
  )
})

test.each([
  ['of known length', 'x'.repeat(11), 0],
  ['of unknown length', ['xxxxxx', 'xxxxxx'], 10],
])(
  'More content %s than one request may have is refused; what fits may stay',
  async (_, body, at) => {
    await using site = await openIetfSite({}, { maxAppendBytes: 10, now: () => 0 })
    const url = await begin(site)

    const refused = await append(site, url, 0, { body, fields: WHOLE })
    const created = await post(site, WHOLE, body)

    for (const { status, fields } of [refused, created]) {
      expect(status).toBe(413)
      expect(fields['upload-limit']).toBe('max-append-size=10')
    }
    expect(refused.fields['upload-complete']).toBe('?0')
    expect((await head(site, url)).fields).toMatchObject({
      'upload-complete': '?0',
      'upload-offset': String(at),
    })
    const last = { body: ['x'.repeat(10)], fields: WHOLE }
    expect((await append(site, url, at, last)).status).toBe(201)
  },
)

test('Less content than a request has to have is refused, unless it is the last', async () => {
  await using site = await openIetfSite({}, { minAppendBytes: 10 })
  const url = await begin(site)

  const little = await append(site, url, 0, { body: 'hello' })
  const enough = await append(site, url, 0, { body: 'hello'.repeat(2) })
  const last = await append(site, url, 10, { body: 'x', fields: WHOLE })

  expect([little.status, enough.status, last.status]).toEqual([400, 204, 201])
  expect((await post(site, BEGINNING, 'hello')).status).toBe(400)
})

test('DELETE ends an upload', async () => {
  await using site = await openIetfSite()
  const url = await begin(site)

  expect((await site.send({ method: 'DELETE', url })).status).toBe(204)
  expect((await head(site, url)).status).toBe(404)
  expect((await append(site, url, 0)).status).toBe(404)
})

test('Uploads of others are as good as absent', async () => {
  await using site = await openIetfSite()
  const url = await begin(site, { 'X-Owner': 'ann' })

  expect((await head(site, url)).status).toBe(404)
  expect((await append(site, url, 0, { body: 'x' })).status).toBe(404)
  expect((await site.send({ method: 'DELETE', url })).status).toBe(404)
  expect((await site.send({ method: 'HEAD', url, fields: { 'X-Owner': 'ann' } })).status).toBe(204)
})

test('PUT names the file by its path', async () => {
  await using site = await openIetfSite()

  const url = '/files/my%20file.txt'
  const answer = await site.send({ method: 'PUT', url, fields: WHOLE, body: 'hello' })

  expect(answer.fields.location).toMatch(/^[0-9a-f]{32}$/)
  expect(site.content('my file.txt')).toBe('hello')
  expect((await site.send({ method: 'POST', url, fields: WHOLE })).status).toBe(405)
})

import { createHash } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { TestRequest, TestResponse } from '../../testing/door-server.ts'
import { DoorSite } from '../../testing/door-site.ts'
import type { UploadCoreOptions } from '../upload-options.ts'
import { createIetfDoor, type IetfDoorOptions } from './ietf-door.ts'
import { createTusDoor } from './tus-door.ts'

type Fields = Readonly<Record<string, string>>

const WHOLE = { 'Upload-Complete': '?1' }
const BEGINNING = { 'Upload-Complete': '?0' }
const FILENAME = { 'Content-Disposition': 'attachment; filename="a.txt"' }
const DISPOSITION = 'Content-Disposition: attachment; filename="a.txt"'
const TYPES = 'https://iana.org/assignments/http-problem-types#'

function open(
  core: Partial<UploadCoreOptions> = {},
  door: IetfDoorOptions = {},
): Promise<DoorSite> {
  return DoorSite.open([createTusDoor(), createIetfDoor(door)], core)
}

function post(site: DoorSite, fields: Fields, body?: TestRequest['body']): Promise<TestResponse> {
  return site.send({
    method: 'POST',
    url: '/files',
    fields,
    ...(body === undefined ? {} : { body }),
  })
}

async function begin(site: DoorSite, fields: Fields = {}, body?: string): Promise<string> {
  const answer = await post(site, { ...BEGINNING, ...FILENAME, ...fields }, body)
  expect(answer.status).toBe(201)
  return site.resolve(answer)
}

function append(
  site: DoorSite,
  url: string,
  offset: number,
  further: Partial<TestRequest> = {},
): Promise<TestResponse> {
  const fields = {
    'Content-Type': 'application/partial-upload',
    'Upload-Offset': String(offset),
    ...BEGINNING,
    ...further.fields,
  }
  return site.send({ method: 'PATCH', url, ...further, fields })
}

/** Opens a connection and sends on it the head of a request with 11 bytes, and the first 5 of them. */
function beginRequest(
  site: DoorSite,
  { line, fields = [] }: { readonly line: string; readonly fields?: readonly string[] },
): Socket {
  const { hostname, port } = new URL(site.server.url)
  const head = [
    `${line} HTTP/1.1`,
    'Host: localhost',
    'Upload-Complete: ?1',
    'Content-Type: application/partial-upload',
    'Upload-Offset: 0',
    'Content-Length: 11',
    ...fields,
  ]
  const socket = connect(Number(port), hostname)
  socket.write(`${head.join('\r\n')}\r\n\r\nhello`)
  return socket
}

function isReceiving({ core }: DoorSite): boolean {
  return [...core.list()].some((upload) => upload.isReceiving)
}

function digest(content: string, algorithm = 'sha-256'): string {
  const value = createHash(algorithm.replace('-', '')).update(content).digest('base64')
  return `${algorithm}=:${value}:`
}

test('A file comes in one request', async () => {
  await using site = await open()

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
  await using site = await open({ expiresInMs: 60_000 }, { now: () => 1_700_000_000_000 })
  const created = await post(site, { ...BEGINNING, ...FILENAME, 'Upload-Length': '10' }, 'he')
  const url = site.resolve(created)

  const second = await append(site, url, 2, { body: 'llo' })
  const third = await append(site, url, 5, { body: ['wor', 'ld'] })
  const before = await site.send({ method: 'HEAD', url })
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
  await using site = await open()
  const url = await begin(site)
  expect((await site.send({ method: 'HEAD', url })).fields['upload-length']).toBeUndefined()

  await append(site, url, 0, { body: 'hello' })
  const last = await append(site, url, 5, { body: ['wor', 'ld'], fields: WHOLE })

  expect(last.status).toBe(201)
  expect(site.content('a.txt')).toBe('helloworld')
})

test('A length may be told with any piece, and binds then', async () => {
  await using site = await open()
  const url = await begin(site)

  await append(site, url, 0, { body: 'he', fields: { 'Upload-Length': '5' } })
  const { fields } = await site.send({ method: 'HEAD', url })
  const short = await append(site, url, 2, { body: 'l', fields: WHOLE })

  expect(fields['upload-length']).toBe('5')
  expect(short.status).toBe(400)
})

test('The last request is answered again as it was', async () => {
  await using site = await open()
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
  expect(more.status).toBe(400)
  expect(JSON.parse(more.body)).toMatchObject({ type: `${TYPES}completed-upload`, status: 400 })
  expect((await append(site, url, 10)).status).toBe(400)
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
  await using site = await open()
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
  expect((await site.send({ method: 'HEAD', url })).fields['upload-offset']).toBe('2')
})

test('Nothing may go on with an upload that got more than its length', async () => {
  await using site = await open()
  const url = await begin(site, { 'Upload-Length': '4' }, 'ab')

  const answer = await append(site, url, 2, { body: ['x', 'y', 'z'] })

  expect(answer.status).toBe(400)
  expect(JSON.parse(answer.body)).toMatchObject({ type: `${TYPES}inconsistent-upload-length` })
  expect((await site.send({ method: 'HEAD', url })).status).toBe(404)
})

test.each([
  ['nothing of its end', {}, 400],
  ['two lengths', { ...WHOLE, 'Upload-Length': '6' }, 400],
  ['more than its length', { ...BEGINNING, 'Upload-Length': '4' }, 400],
  ['a wrong digest', { ...WHOLE, 'Content-Digest': digest('no') }, 400],
  ['a wrong digest of the whole', { ...WHOLE, 'Repr-Digest': digest('no') }, 400],
  ['more than the limit', { ...BEGINNING, 'Upload-Length': '101' }, 413],
])('A creation with %s is refused, and leaves nothing behind', async (_, fields, status) => {
  await using site = await open({ limits: { maxUploadBytes: 100 } }, { maxUploadBytes: 100 })

  const answer = await post(site, { ...FILENAME, ...(fields as Fields) }, 'hello')

  expect(answer.status).toBe(status)
  expect(answer.fields['upload-limit']).toBe(status === 413 ? 'max-size=100' : undefined)
  expect([...site.core.list()]).toEqual([])
  expect(site.content('a.txt')).toBeUndefined()
})

test('The digest of the whole is held against the file once all is there', async () => {
  await using site = await open()
  const right = await begin(site, { 'Repr-Digest': digest('hello', 'sha-512') }, 'he')
  const wrong = await begin(site, { 'Repr-Digest': digest('no') }, 'he')

  const accepted = await append(site, right, 2, { body: 'llo', fields: WHOLE })
  const refused = await append(site, wrong, 2, { body: 'llo', fields: WHOLE })

  expect(accepted.status).toBe(201)
  // Complete, and of no use.
  expect(refused).toMatchObject({ status: 400, fields: { 'upload-complete': '?1' } })
  expect((await site.send({ method: 'HEAD', url: wrong })).status).toBe(404)
})

test('A file whose name is taken is complete all the same, and kept', async () => {
  await using site = await open({ collision: 'fail' })
  await post(site, { ...WHOLE, ...FILENAME }, 'first')
  const url = await begin(site, {}, 'sec')

  const refused = await append(site, url, 3, { body: 'ond', fields: WHOLE })

  expect(refused).toMatchObject({ status: 409, fields: { 'upload-complete': '?1' } })
  expect(JSON.parse(refused.body).detail).toBe('Cannot give the upload its name: it is taken')
  expect((await site.send({ method: 'HEAD', url })).fields['upload-offset']).toBe('6')
  expect(site.content('a.txt')).toBe('first')
})

test('OPTIONS tells the limits', async () => {
  await using plain = await open()
  await using limited = await open({}, { maxUploadBytes: 1000 })
  const request = { method: 'OPTIONS', url: '/files' }

  expect((await plain.send(request)).fields['upload-limit']).toBe('min-size=0')
  expect((await limited.send(request)).fields['upload-limit']).toBe('max-size=1000')
})

test('DELETE ends an upload', async () => {
  await using site = await open()
  const url = await begin(site)

  expect((await site.send({ method: 'DELETE', url })).status).toBe(204)
  expect((await site.send({ method: 'HEAD', url })).status).toBe(404)
  expect((await append(site, url, 0)).status).toBe(404)
})

test('Uploads of others are as good as absent', async () => {
  await using site = await open()
  const url = await begin(site, { 'X-Owner': 'ann' })

  expect((await site.send({ method: 'HEAD', url })).status).toBe(404)
  expect((await append(site, url, 0, { body: 'x' })).status).toBe(404)
  expect((await site.send({ method: 'DELETE', url })).status).toBe(404)
  expect((await site.send({ method: 'HEAD', url, fields: { 'X-Owner': 'ann' } })).status).toBe(204)
})

test('PUT names the file by its path', async () => {
  await using site = await open()

  const url = '/files/my%20file.txt'
  const answer = await site.send({ method: 'PUT', url, fields: WHOLE, body: 'hello' })

  expect(answer.fields.location).toMatch(/^[0-9a-f]{32}$/)
  expect(site.content('my file.txt')).toBe('hello')
  expect((await site.send({ method: 'POST', url, fields: WHOLE })).status).toBe(405)
})

test.each([
  ['8', [undefined], true],
  ['9', [undefined], true],
  ['7', [undefined], false],
  ['7', [[7]], true],
  ['9', [[7]], false],
  ['9.0', [undefined], false],
  [undefined, [undefined], false],
])('A client of version %s gets 104 from a server of %o: %s', async (told, [versions], isTold) => {
  const accepted = versions === undefined ? {} : { interopVersions: versions }
  await using site = await open({}, accepted)
  const version: Fields = told === undefined ? {} : { 'Upload-Draft-Interop-Version': told }

  const answer = await post(site, { ...WHOLE, ...FILENAME, ...version }, 'hello')

  expect(answer.status).toBe(201)
  expect(answer.interims[0]?.status).toBe(isTold ? 104 : undefined)
  if (isTold) {
    expect(answer.interims[0]?.fields).toMatchObject({
      'upload-draft-interop-version': told,
      location: answer.fields.location,
      'upload-limit': expect.stringMatching(/^max-age=\d+$/),
    })
  }
})

test.each([
  ['PATCH', true],
  ['PATCH', false],
  ['POST', true],
])('104 tells how far an upload by %s is (Node has it: %s)', async (method, isNative) => {
  await using site = await open()
  const other = await begin(site)
  site.server.withoutInformation = !isNative
  const created = method === 'POST' ? '/files' : new URL(await begin(site)).pathname
  const socket = beginRequest(site, {
    line: `${method} ${created}`,
    fields: ['Upload-Draft-Interop-Version: 8', 'Connection: close'],
  })
  let text = ''
  socket.setEncoding('utf8').on('data', (part: string) => (text += part))
  while (!isReceiving(site)) await turn()
  await append(site, other, 0, { body: 'another' })
  while (!/upload-offset: 5\r\n\r\n/i.test(text)) {
    site.uploads.clock.advance(1000)
    await turn()
  }
  const heads = text.toLowerCase().split('\r\n\r\n').slice(0, -1)
  socket.write('world!')
  await new Promise((resolve) => socket.once('close', resolve))

  // A creation is told where it is before.
  expect(heads.length).toBe(method === 'POST' ? 2 : 1)
  expect(heads.at(-1)?.split('\r\n')).toEqual([
    expect.stringMatching(/^http\/1.1 104 /),
    'upload-draft-interop-version: 8',
    'upload-offset: 5',
  ])
  expect(text).toContain('HTTP/1.1 201 Created\r\n')
})

test('Nobody listens for a request that is over', async () => {
  await using site = await open()
  const { core } = site
  const subscribe = core.subscribe.bind(core)
  let listeners = 0
  core.subscribe = (listener) => {
    listeners++
    const end = subscribe(listener)
    return () => {
      listeners--
      end()
    }
  }

  const version = { 'Upload-Draft-Interop-Version': '8' }
  const url = await begin(site, version, 'he')
  await append(site, url, 2, { body: 'llo', fields: version })
  await append(site, url, 2, { body: 'llo', fields: version })

  expect(listeners).toBe(0)
})

test('Clients of version 3 say the opposite, and know no media type', async () => {
  await using site = await open({}, { interopVersions: [3, 8] })
  const version = { 'Upload-Draft-Interop-Version': '3' }
  const created = await post(site, { 'Upload-Incomplete': '?1', ...FILENAME, ...version }, 'he')
  const url = site.resolve(created)

  const head = await site.send({ method: 'HEAD', url, fields: version })
  const last = await site.send({
    method: 'PATCH',
    url,
    fields: { 'Upload-Incomplete': '?0', 'Upload-Offset': '2', ...version },
    body: 'llo',
  })

  expect(created).toMatchObject({ status: 201, fields: { 'upload-incomplete': '?1' } })
  expect(created.interims[0]?.status).toBe(104)
  expect(head.fields).toMatchObject({ 'upload-incomplete': '?1', 'upload-offset': '2' })
  expect(head.fields['upload-complete']).toBeUndefined()
  expect(last).toMatchObject({ status: 201, fields: { 'upload-incomplete': '?0' } })
  expect(site.content('a.txt')).toBe('hello')
})

test('An upload that is interrupted at creation goes on when its client knows where', async () => {
  await using site = await open()
  const send = async (fields: readonly string[]): Promise<string | undefined> => {
    const socket = beginRequest(site, { line: 'POST /files', fields: [...fields, DISPOSITION] })
    while (!isReceiving(site)) await turn()
    socket.destroy()
    while (isReceiving(site)) await turn()
    await turn()
    return [...site.core.list()][0]?.id
  }

  expect(await send([])).toBeUndefined()
  const id = await send(['Upload-Draft-Interop-Version: 9'])
  const last = await append(site, `/files/${id}`, 5, { body: 'world!', fields: WHOLE })

  expect(last.status).toBe(201)
  expect(site.content('a.txt')).toBe('helloworld!')
})

test('HEAD ends an older request, so that its offset stays right', async () => {
  await using site = await open()
  const url = await begin(site)
  const socket = beginRequest(site, { line: `PATCH ${new URL(url).pathname}` })
  while (!isReceiving(site)) await turn()

  const answer = await site.send({ method: 'HEAD', url })

  let text = ''
  for await (const part of socket.setEncoding('utf8')) {
    text += String(part)
    socket.end('world!')
  }
  expect(answer.fields['upload-offset']).toBe('5')
  expect(text).toContain('HTTP/1.1 409 Conflict\r\n')
  expect((await append(site, url, 5, { body: 'WORLD', fields: WHOLE })).status).toBe(201)
  expect(site.content('a.txt')).toBe('helloWORLD')
})

test('A later piece ends an older request', async () => {
  await using site = await open()
  const url = await begin(site)
  const socket = beginRequest(site, { line: `PATCH ${new URL(url).pathname}` })
  while (!isReceiving(site)) await turn()

  const last = await append(site, url, 5, { body: 'WORLD', fields: WHOLE })

  expect(socket.destroyed).toBe(false)
  socket.destroy()
  expect(last.status).toBe(201)
  expect(site.content('a.txt')).toBe('helloWORLD')
})

test('Bytes that a client of the draft has brought are a whole file for one of tus', async () => {
  await using site = await open()
  const url = await begin(site, { 'Upload-Length': '5' }, 'hello')
  expect(site.content('a.txt')).toBeUndefined()

  const answer = await site.send({ method: 'HEAD', url, fields: { 'Tus-Resumable': '1.0.0' } })

  expect(answer).toMatchObject({
    status: 200,
    fields: { 'upload-offset': '5', 'upload-metadata': 'filename YS50eHQ=' },
  })
  expect(site.content('a.txt')).toBe('hello')
})

test('What was begun by one protocol is finished by the other', async () => {
  await using site = await open()
  const tus = { 'Tus-Resumable': '1.0.0' }
  const tusPiece = { ...tus, 'Content-Type': 'application/offset+octet-stream' }
  const begun = await post(site, {
    ...tus,
    'Upload-Length': '5',
    'Upload-Metadata': 'filename dHVzLnR4dA==',
  })
  const other = await begin(site, { 'Upload-Length': '5' }, 'he')

  await append(site, site.resolve(begun), 0, { body: 'hello', fields: WHOLE })
  const last = await site.send({
    method: 'PATCH',
    url: other,
    body: 'llo',
    fields: { ...tusPiece, 'Upload-Offset': '2' },
  })

  expect(site.content('tus.txt')).toBe('hello')
  expect(last).toMatchObject({ status: 204, fields: { 'upload-offset': '5' } })
  expect(site.content('a.txt')).toBe('hello')
})

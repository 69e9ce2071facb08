import { createHash } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { TestRequest, TestResponse } from '../../testing/door-server.ts'
import { DoorSite } from '../../testing/door-site.ts'
import type { UploadCoreOptions } from '../upload-options.ts'
import type { DoorOptions } from './door.ts'
import { createTusDoor } from './tus-door.ts'

type Fields = Readonly<Record<string, string>>

const VERSION = { 'Tus-Resumable': '1.0.0' }
const CONTENT = { ...VERSION, 'Content-Type': 'application/offset+octet-stream' }
const FILENAME = { 'Upload-Metadata': 'filename YS50eHQ=' }

function open(core: Partial<UploadCoreOptions> = {}, door: DoorOptions = {}): Promise<DoorSite> {
  return DoorSite.open([createTusDoor(door)], core)
}

function post(site: DoorSite, fields: Fields, body?: string): Promise<TestResponse> {
  return site.send({
    method: 'POST',
    url: '/files',
    fields: { ...(body === undefined ? VERSION : CONTENT), ...fields },
    ...(body === undefined ? {} : { body }),
  })
}

async function create(site: DoorSite, fields: Fields): Promise<string> {
  const answer = await post(site, fields)
  expect(answer).toMatchObject({ status: 201, fields: { 'tus-resumable': '1.0.0' } })
  return site.resolve(answer)
}

function patch(
  site: DoorSite,
  url: string,
  offset: number,
  further: Partial<TestRequest> = {},
): Promise<TestResponse> {
  const fields = { ...CONTENT, 'Upload-Offset': String(offset), ...further.fields }
  return site.send({ method: 'PATCH', url, ...further, fields })
}

function ask(site: DoorSite, method: string, url: string, fields = {}): Promise<TestResponse> {
  return site.send({ method, url, fields: { ...VERSION, ...fields } })
}

function checksum(algorithm: string, content: string): string {
  return `${algorithm} ${createHash(algorithm).update(content).digest('base64')}`
}

/** Opens a connection and sends on it the head of a PATCH, and the beginning of its content. */
function beginPatch(
  url: string,
  { offset, framing, body }: { offset: number; framing: string; body: string },
): Socket {
  const { hostname, port, pathname } = new URL(url)
  const head = [
    `PATCH ${pathname} HTTP/1.1`,
    'Host: localhost',
    'Tus-Resumable: 1.0.0',
    'Content-Type: application/offset+octet-stream',
    `Upload-Offset: ${offset}`,
    framing,
  ]
  const socket = connect(Number(port), hostname)
  socket.write(`${head.join('\r\n')}\r\n\r\n${body}`)
  return socket
}

function isReceiving({ core }: DoorSite): boolean {
  return [...core.list()].some((upload) => upload.isReceiving)
}

test('OPTIONS tells the versions, extensions, algorithms and the largest upload', async () => {
  await using site = await open({}, { maxUploadBytes: 1000 })

  const answer = await site.send({ method: 'OPTIONS', url: '/files' })

  expect(answer).toMatchObject({
    status: 204,
    fields: {
      'tus-resumable': '1.0.0',
      'tus-version': '1.0.0',
      'tus-extension':
        'creation,creation-with-upload,creation-defer-length,expiration,checksum,' +
        'checksum-trailer,termination,concatenation',
      'tus-checksum-algorithm': 'sha1,sha256,sha512,md5',
      'tus-max-size': '1000',
    },
  })
})

test('A file comes in pieces, and is there under its name with the last one', async () => {
  await using site = await open()
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
  await using site = await open()

  const url = await create(site, { 'Upload-Length': '0', ...FILENAME })

  expect((await ask(site, 'HEAD', url)).fields['upload-offset']).toBe('0')
  expect(site.content('a.txt')).toBe('')
})

test('An upload of length 0 may come with content that is empty', async () => {
  await using site = await open()
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
  await using site = await open({ limits: { maxUploadBytes: 100 } })

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
  await using site = await open()
  const url = await create(site, { 'Upload-Length': '5' })
  await patch(site, url, 0, { body: 'ab' })

  const bytes = Number((fields as Fields)['Content-Length'] ?? 3)
  const answer = await patch(site, url, at, { body: 'x'.repeat(bytes), fields })

  expect(answer).toMatchObject({ status, fields: { 'tus-resumable': '1.0.0' } })
  expect(answer.reason === 'Checksum Mismatch').toBe(status === 460)
  expect((await ask(site, 'HEAD', url)).fields['upload-offset']).toBe('2')
})

test('What the server does not know is 404, other methods 405', async () => {
  await using site = await open()
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
  await using site = await open()
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
  await using site = await open()

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
  await using site = await open()

  const answer = await post(site, { 'Upload-Length': '5', ...fields }, 'hello')

  expect(answer.status).toBe(status)
  expect([...site.core.list()]).toEqual([])
})

test('A length may come with a later piece', async () => {
  await using site = await open()
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
  await using site = await open()
  const url = await create(site, { 'Upload-Defer-Length': '1', ...FILENAME })

  await patch(site, url, 0, { body: 'he', fields: { 'Upload-Length': '5' } })
  const between = await ask(site, 'HEAD', url)
  await patch(site, url, 2, { body: 'llo' })

  expect(between.fields).toMatchObject({ 'upload-offset': '2', 'upload-length': '5' })
  expect(site.content('a.txt')).toBe('hello')
})

test.each(['sha1', 'sha256', 'sha512', 'md5'])('A piece is held against its %s', async (name) => {
  await using site = await open()
  const url = await create(site, { 'Upload-Length': '10', ...FILENAME })
  const fields = { 'Upload-Checksum': checksum(name, 'hello') }

  const wrong = await patch(site, url, 0, { body: 'jello', fields })
  const right = await patch(site, url, 0, { body: 'hello', fields })

  expect(wrong.status).toBe(460)
  expect(right).toMatchObject({ status: 204, fields: { 'upload-offset': '5' } })
})

test.each(['sha1', 'sha256', 'sha512', 'md5'])('A %s may come behind the content', async (name) => {
  await using site = await open()
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

test('Too much content is refused before its checksum has come', async () => {
  await using site = await open()
  const url = await create(site, { 'Upload-Length': '5' })
  const socket = beginPatch(url, {
    offset: 0,
    framing: 'Transfer-Encoding: chunked\r\nTrailer: Upload-Checksum',
    body: '6\r\nhello!\r\n',
  })
  let text = ''
  for await (const part of socket.setEncoding('utf8')) {
    text += String(part)
    if (!text.endsWith('its length is 5\n')) continue
    for (let turns = 0; turns < 20; turns++) await turn()
    expect(site.server.sockets.size).toBe(1)
    socket.end('0\r\n\r\n')
  }

  expect(text).toMatch(/^HTTP\/1.1 400 /)
})

test('Answers tell when an unfinished upload expires, and then it is gone', async () => {
  await using site = await open({ expiresInMs: 60_000, keepCompletedMs: 60_000 })
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

test('DELETE ends an upload', async () => {
  await using site = await open()
  const url = await create(site, { 'Upload-Length': '5' })

  expect((await ask(site, 'DELETE', url)).status).toBe(204)
  expect((await ask(site, 'HEAD', url)).status).toBe(404)
})

test('Partial uploads are put together to one', async () => {
  await using site = await open()
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
  await using site = await open()
  const url = await create(site, { 'Upload-Length': '5' })

  const answer = await post(site, { 'Upload-Concat': `final;${url}` })

  expect(answer).toMatchObject({
    status: 400,
    body: 'Cannot put uploads together that are not partial ones\n',
  })
})

test('X-HTTP-Method-Override takes the place of the method', async () => {
  await using site = await open()
  const url = await create(site, { 'Upload-Length': '5', ...FILENAME })
  const fields = { ...CONTENT, 'Upload-Offset': '0', 'X-HTTP-Method-Override': 'PATCH' }

  const answer = await site.send({ method: 'POST', url, body: 'hello', fields })

  expect(answer).toMatchObject({ status: 204, fields: { 'upload-offset': '5' } })
  expect(site.content('a.txt')).toBe('hello')
})

test('A broken connection keeps what had come; whoever asks next goes on there', async () => {
  await using site = await open()
  const url = await create(site, { 'Upload-Length': '10', ...FILENAME })
  const socket = beginPatch(url, { offset: 0, framing: 'Content-Length: 10', body: 'hello' })
  while (!isReceiving(site)) await turn()
  socket.destroy()
  while (isReceiving(site)) await turn()

  expect((await ask(site, 'HEAD', url)).fields['upload-offset']).toBe('5')
  expect((await patch(site, url, 5, { body: 'world' })).status).toBe(204)
  expect(site.content('a.txt')).toBe('helloworld')
})

test('HEAD ends an older request, so that its offset stays right', async () => {
  await using site = await open()
  const url = await create(site, { 'Upload-Length': '10', ...FILENAME })
  const socket = beginPatch(url, { offset: 0, framing: 'Content-Length: 10', body: 'hello' })
  while (!isReceiving(site)) await turn()

  const { fields } = await ask(site, 'HEAD', url)

  expect(fields['upload-offset']).toBe('5')
  let text = ''
  for await (const part of socket.setEncoding('utf8')) {
    text += String(part)
    socket.end('world')
  }
  expect(text).toMatch(/^HTTP\/1.1 409 /)
})

test('A later piece with the length ends an older request too', async () => {
  await using site = await open()
  const url = await create(site, { 'Upload-Defer-Length': '1', ...FILENAME })
  const socket = beginPatch(url, { offset: 0, framing: 'Content-Length: 100', body: 'hello' })
  while (!isReceiving(site)) await turn()

  const last = await patch(site, url, 5, { body: 'world', fields: { 'Upload-Length': '10' } })

  expect(socket.destroyed).toBe(false)
  socket.destroy()
  expect(last).toMatchObject({ status: 204, fields: { 'upload-offset': '10' } })
  expect(site.content('a.txt')).toBe('helloworld')
})

test('A refusal reaches a client that has not sent everything', async () => {
  await using site = await open()
  const url = await create(site, { 'Upload-Length': '10' })
  const socket = beginPatch(url, { offset: 3, framing: 'Content-Length: 7', body: 'hel' })
  let text = ''
  for await (const part of socket.setEncoding('utf8')) {
    text += String(part)
    if (!text.endsWith('it stands at 0\n')) continue
    // A connection that was closed by now would answer with a reset to what is still sent.
    for (let turns = 0; turns < 20; turns++) await turn()
    expect(site.server.sockets.size).toBe(1)
    socket.end('lowo')
  }

  expect(text).toMatch(/^HTTP\/1.1 409 Conflict\r\n/)
  expect(text).toMatch(/\r\nConnection: close\r\n/i)
})

test('A client that goes on sending after a refusal loses its connection', async () => {
  await using site = await open()
  const url = await create(site, { 'Upload-Length': '100000000' })
  const socket = beginPatch(url, { offset: 3, framing: 'Content-Length: 100000000', body: '' })
  socket.on('error', () => {}).resume()
  const closed = new Promise((resolve) => socket.once('close', resolve))
  const send = (): void => {
    while (!socket.destroyed && socket.write(Buffer.alloc(100_000)));
  }
  socket.on('drain', send)
  send()

  await closed
  expect(socket.bytesWritten).toBeLessThan(50_000_000)
})

test('A connection goes on after a refusal of content that has come whole', async () => {
  await using site = await open()
  const url = await create(site, { 'Upload-Length': '5' })
  const framing = 'Upload-Checksum: sha1 AAAA\r\nContent-Length: 5'
  const socket = beginPatch(url, { offset: 0, framing, body: 'hello' })
  const last =
    `DELETE ${new URL(url).pathname} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\n` +
    'Connection: close\r\n\r\n'
  socket.once('data', () => socket.write(last))
  let text = ''
  for await (const part of socket.setEncoding('utf8')) text += String(part)

  expect(text.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 460', 'HTTP/1.1 204'])
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
  await using site = await open({}, options)

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
  await using plain = await open()
  await using chosen = await open({}, { chooseName: ({ name, door }) => `${door}/${name}` })

  await create(plain, fields)
  await create(chosen, fields)

  expect(plain.content('a.txt')).toBe('')
  expect(chosen.content('tus/dir/a.txt')).toBe('')
})

test('A failure of the disk is told without its words, and to whoever runs the door', async () => {
  const site = await open()
  const url = await create(site, { 'Upload-Length': '5' })
  const failure = new Error('Cannot write /secret/path')
  site.uploads.blobs.open = () => Promise.reject(failure)

  const answer = await patch(site, url, 0, { body: 'hello' })

  expect(answer).toMatchObject({
    status: 500,
    body: 'Cannot take the upload: the server has failed\n',
  })
  await expect(site[Symbol.asyncDispose]()).rejects.toBe(failure)
})

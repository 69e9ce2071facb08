import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import {
  ask,
  beginPatch,
  create,
  FILENAME,
  openTusSite,
  patch,
} from '../../testing/tus-requests.ts'

test('Too much content is refused before its checksum has come', async () => {
  await using site = await openTusSite()
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

test('A broken connection keeps what had come; whoever asks next goes on there', async () => {
  await using site = await openTusSite()
  const url = await create(site, { 'Upload-Length': '10', ...FILENAME })
  const socket = beginPatch(url, { offset: 0, framing: 'Content-Length: 10', body: 'hello' })
  while (!site.isReceiving) await turn()
  socket.destroy()
  while (site.isReceiving) await turn()

  expect((await ask(site, 'HEAD', url)).fields['upload-offset']).toBe('5')
  expect((await patch(site, url, 5, { body: 'world' })).status).toBe(204)
  expect(site.content('a.txt')).toBe('helloworld')
})

test('HEAD ends an older request, so that its offset stays right', async () => {
  await using site = await openTusSite()
  const url = await create(site, { 'Upload-Length': '10', ...FILENAME })
  const socket = beginPatch(url, { offset: 0, framing: 'Content-Length: 10', body: 'hello' })
  while (!site.isReceiving) await turn()

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
  await using site = await openTusSite()
  const url = await create(site, { 'Upload-Defer-Length': '1', ...FILENAME })
  const socket = beginPatch(url, { offset: 0, framing: 'Content-Length: 100', body: 'hello' })
  while (!site.isReceiving) await turn()

  const last = await patch(site, url, 5, { body: 'world', fields: { 'Upload-Length': '10' } })

  expect(socket.destroyed).toBe(false)
  socket.destroy()
  expect(last).toMatchObject({ status: 204, fields: { 'upload-offset': '10' } })
  expect(site.content('a.txt')).toBe('helloworld')
})

test('A refusal reaches a client that has not sent everything', async () => {
  await using site = await openTusSite()
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
  await using site = await openTusSite()
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
  await using site = await openTusSite()
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

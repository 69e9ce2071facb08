import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { KeyRing } from './keys.ts'
import { UploadServer } from './upload-server.ts'

const KEY = 'k'.repeat(64)

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ferry-test-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

function chunk(content: string, headers: Record<string, string> = {}): RequestInit {
  const fields = { 'X-Chunk-Index': '0', 'X-File-Name': 'a.txt', ...headers }
  return { method: 'POST', body: content, headers: fields }
}

test.each([
  ['no key', {}, 'Bearer'],
  ['a wrong key', { Authorization: `Bearer ${KEY}x` }, 'Bearer error="invalid_token"'],
  ['another scheme', { Authorization: `Basic ${KEY}` }, 'Bearer'],
  ['another field', { 'X-API-Key': KEY }, 'Bearer'],
])('UploadServer refuses %s, whatever is asked for', async (_, headers, challenge) => {
  await using server = await UploadServer.open(folder, { keys: KeyRing.of(KEY) })
  const url = await server.listen()

  const replies = [
    await fetch(`${url}/upload`, chunk('x'.repeat(100_000), headers)),
    await fetch(`${url}/none`, { headers }),
  ]

  for (const reply of replies) {
    expect(reply.status).toBe(401)
    expect(reply.headers.get('WWW-Authenticate')).toBe(challenge)
    expect(await reply.text()).toBe('{"error":"Invalid or missing API key"}')
  }
})

test('UploadServer lets a key in, and knows nothing of other paths', async () => {
  await using server = await UploadServer.open(folder, { keys: KeyRing.of(KEY) })
  const url = await server.listen()
  const headers = { Authorization: `bearer ${KEY}` }

  const taken = await fetch(`${url}/upload`, chunk('abc', headers))
  const unknown = await fetch(`${url}/none`, { headers })

  expect(taken.status).toBe(200)
  expect(await readFile(join(folder, 'a.txt'), 'utf8')).toBe('abc')
  expect([unknown.status, await unknown.text()]).toEqual([404, 'Not Found'])
})

test('UploadServer tells pages of listed origins what they may send, and others nothing', async () => {
  const cors = { origins: ['https://app.example'] }
  await using server = await UploadServer.open(folder, { keys: KeyRing.of(KEY), cors })
  const url = await server.listen()
  const preflight = (origin: string): Promise<Response> =>
    fetch(`${url}/upload`, {
      method: 'OPTIONS',
      headers: { Origin: origin, 'Access-Control-Request-Method': 'POST' },
    })

  const listed = await preflight('https://app.example')
  const other = await preflight('https://evil.example')
  const refused = await fetch(`${url}/upload`, chunk('x', { Origin: 'https://app.example' }))

  expect(listed.status).toBe(200)
  expect(listed.headers.get('Access-Control-Allow-Origin')).toBe('https://app.example')
  expect(listed.headers.get('Access-Control-Allow-Headers')).toContain('X-Chunk-Index')
  expect(listed.headers.get('Access-Control-Max-Age')).toBe('3600')
  expect(other.headers.get('Access-Control-Allow-Origin')).toBeNull()
  expect(other.headers.get('Access-Control-Allow-Headers')).toBeNull()
  expect(other.headers.get('Vary')).toBe('Origin')
  // A page has to be able to see why.
  expect(refused.headers.get('Access-Control-Allow-Origin')).toBe('https://app.example')
})

test('UploadServer without keys takes nothing from a page of another origin', async () => {
  await using server = await UploadServer.open(folder)
  const url = await server.listen()
  // What a form of any page can send without asking first.
  const form = { method: 'POST', headers: { 'Content-Type': 'text/plain' }, body: 'x' }
  const post = (origin: string): Promise<Response> =>
    fetch(`${url}/upload`, { ...form, headers: { ...form.headers, Origin: origin } })

  const foreign = await post('https://evil.example')
  expect([foreign.status, await readdir(folder)]).toEqual([403, ['.ferry']])
  const own = await post(url)

  expect(own.status).toBe(200)
})

test('UploadServer tells what its doors can do to those who ask', async () => {
  await using server = await UploadServer.open(folder, { keys: KeyRing.of(KEY) })
  const url = await server.listen()

  const reply = await fetch(`${url}/files`, { method: 'OPTIONS' })

  expect(reply.status).toBe(200)
  expect(reply.headers.get('Tus-Version')).toBe('1.0.0')
  expect(reply.headers.get('Upload-Limit')).not.toBeNull()
})

test('UploadServer has only the doors that were chosen', async () => {
  await using server = await UploadServer.open(folder, { doors: ['indexedcp'] })
  const url = await server.listen()

  const headers = { 'Tus-Resumable': '1.0.0', 'Upload-Length': '3' }
  const tus = await fetch(`${url}/files`, { method: 'POST', headers })

  expect(tus.status).toBe(404)
  expect((await fetch(`${url}/upload`, chunk('abc'))).status).toBe(200)
})

test('an upload that began by tus is finished by IndexedCP', async () => {
  await using server = await UploadServer.open(folder)
  const url = await server.listen()
  const begun = await fetch(`${url}/files`, {
    method: 'POST',
    body: 'abc',
    headers: {
      'Tus-Resumable': '1.0.0',
      'Upload-Length': '6',
      'Content-Type': 'application/offset+octet-stream',
      'Upload-Metadata': `filename ${Buffer.from('t.txt').toString('base64')}`,
    },
  })
  const id = begun.headers.get('Location')?.split('/').at(-1) as string
  const headers = { 'X-Upload-Id': id, 'X-Chunk-Offset': '3', 'X-Chunk-Index': '1' }

  const reply = await fetch(`${url}/upload`, chunk('def', headers))

  expect(await reply.json()).toMatchObject({ actualFilename: 't.txt', complete: true })
  expect(await readFile(join(folder, 't.txt'), 'utf8')).toBe('abcdef')
})

test('UploadServer.handler answers below a mount on a server of one’s own', async () => {
  await using uploads = await UploadServer.open(folder, { mount: '/api' })
  const server = createServer((request, response) => void uploads.handler(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const statuses = [
    (await fetch(`${url}/api/upload`, chunk('abc'))).status,
    (await fetch(`${url}/upload`, chunk('abc'))).status,
  ]

  server.closeAllConnections()
  server.close()
  expect(statuses).toEqual([200, 404])
})

test('UploadServer does not listen for others without keys, nor on a port that is taken', async () => {
  await using server = await UploadServer.open(folder)
  await expect(server.listen({ host: '0.0.0.0' })).rejects.toMatchObject({ option: 'host' })
  const url = await server.listen()
  await using other = new UploadServer(server.core)

  await expect(other.listen({ port: Number(new URL(url).port) })).rejects.toMatchObject({
    option: 'port',
  })
})

test.each([['api'], ['/api/'], ['/']])('UploadServer refuses the mount %s', async (mount) => {
  await expect(UploadServer.open(folder, { mount })).rejects.toMatchObject({ option: 'mount' })
})

test('UploadServer ends connections that do not send a head', async () => {
  await using server = await UploadServer.open(folder, { headersTimeoutMs: 100 })
  const url = await server.listen()
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()))
  socket.on('error', () => {})
  socket.resume()
  socket.write('POST /upload HTTP/1.1\r\nHost: h\r\nX-')

  await closed

  expect(socket.destroyed).toBe(true)
})

import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { DoorServer } from '../../testing/door-server.ts'
import {
  append,
  begin,
  beginRequest,
  digest,
  head,
  openIetfSite,
  WHOLE,
} from '../../testing/ietf-requests.ts'
import { createIetfDoor } from './ietf-door.ts'

test('An upload that is interrupted at creation goes on when its client knows where', async () => {
  await using site = await openIetfSite()
  const send = async (fields: readonly string[]): Promise<string | undefined> => {
    const socket = beginRequest(site, {
      line: 'POST /files',
      fields: [...fields, 'Content-Disposition: attachment; filename="a.txt"'],
    })
    while (!site.isReceiving) await turn()
    socket.destroy()
    while (site.isReceiving) await turn()
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
  await using site = await openIetfSite()
  const url = await begin(site)
  const socket = beginRequest(site, { line: `PATCH ${new URL(url).pathname}` })
  while (!site.isReceiving) await turn()

  const answer = await head(site, url)

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
  await using site = await openIetfSite()
  const url = await begin(site)
  const socket = beginRequest(site, { line: `PATCH ${new URL(url).pathname}` })
  while (!site.isReceiving) await turn()

  const last = await append(site, url, 5, { body: 'WORLD', fields: WHOLE })

  expect(socket.destroyed).toBe(false)
  socket.destroy()
  expect(last.status).toBe(201)
  expect(site.content('a.txt')).toBe('helloWORLD')
})

test('DELETE ends an older request, and nothing of the upload is left', async () => {
  await using site = await openIetfSite()
  const url = await begin(site)
  const socket = beginRequest(site, { line: `PATCH ${new URL(url).pathname}` })
  while (!site.isReceiving) await turn()

  const answer = await site.send({ method: 'DELETE', url })
  let text = ''
  for await (const part of socket.setEncoding('utf8')) {
    text += String(part)
    socket.end('world!')
  }

  expect(answer.status).toBe(204)
  expect(text).toMatch(/^HTTP\/1.1 4\d\d /)
  expect((await head(site, url)).status).toBe(404)
  expect([...site.core.list()]).toEqual([])
})

test('The last request is answered as before by a server that was started again', async () => {
  const site = await openIetfSite()
  const wanted = { 'Want-Repr-Digest': 'sha-256=1' }
  const url = await begin(site, wanted, 'hello')
  const first = await append(site, url, 5, { body: ' world', fields: WHOLE })
  await site[Symbol.asyncDispose]()

  const core = await site.uploads.open()
  await using server = await DoorServer.open(core, createIetfDoor())
  const again = await server.send({
    method: 'PATCH',
    url: new URL(url).pathname,
    fields: { 'Content-Type': 'application/partial-upload', 'Upload-Offset': '11', ...WHOLE },
  })
  await core.close()

  expect([first.status, first.fields['repr-digest']]).toEqual([201, digest('hello world')])
  expect(again).toMatchObject({ status: 201, body: first.body })
  for (const name of ['location', 'repr-digest', 'upload-complete', 'upload-offset']) {
    expect(again.fields[name]).toBe(first.fields[name])
  }
})

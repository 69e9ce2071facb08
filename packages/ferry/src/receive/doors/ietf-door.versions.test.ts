import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import {
  append,
  begin,
  beginRequest,
  FILENAME,
  openIetfSite,
  post,
  WHOLE,
} from '../../testing/ietf-requests.ts'

type Fields = Readonly<Record<string, string>>

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
  await using site = await openIetfSite({}, accepted)
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
  await using site = await openIetfSite()
  const other = await begin(site)
  site.server.withoutInformation = !isNative
  const created = method === 'POST' ? '/files' : new URL(await begin(site)).pathname
  const socket = beginRequest(site, {
    line: `${method} ${created}`,
    fields: ['Upload-Draft-Interop-Version: 8', 'Connection: close'],
  })
  let text = ''
  socket.setEncoding('utf8').on('data', (part: string) => (text += part))
  while (!site.isReceiving) await turn()
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
  await using site = await openIetfSite()
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
  await using site = await openIetfSite({}, { interopVersions: [3, 8] })
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

import { expect, test } from 'vitest'
import { append, begin, head, openIetfSite, post, WHOLE } from '../../testing/ietf-requests.ts'

test('Bytes that a client of the draft has brought are a whole file for one of tus', async () => {
  await using site = await openIetfSite()
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
  await using site = await openIetfSite()
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

test('A part of tus is gone on with by the draft, and never published as a file', async () => {
  await using site = await openIetfSite()
  const tus = { 'Tus-Resumable': '1.0.0' }
  const partial = { ...tus, 'Upload-Length': '5', 'Upload-Concat': 'partial' }
  const url = site.resolve(await post(site, partial))

  const piece = await append(site, url, 0, { body: 'hel' })
  const early = await append(site, url, 3, { body: 'lo', fields: WHOLE })
  const rest = await append(site, url, 3, { body: 'lo' })
  const late = await append(site, url, 5, { fields: WHOLE })

  expect([piece.status, rest.status]).toEqual([204, 204])
  for (const refused of [early, late]) {
    expect(refused).toMatchObject({ status: 403, fields: { 'upload-complete': '?0' } })
  }
  expect((await head(site, url)).fields['upload-complete']).toBe('?0')
  const concat = { ...tus, 'Upload-Concat': `final;${url}`, 'Upload-Metadata': 'filename YS50eHQ=' }
  expect((await post(site, concat)).status).toBe(201)
  expect(site.content('a.txt')).toBe('hello')
})

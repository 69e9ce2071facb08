import { expect, test } from 'vitest'
import {
  append,
  begin,
  digest,
  head,
  openIetfSite,
  post,
  WHOLE,
} from '../../testing/ietf-requests.ts'

test('The digest of the whole is held against the file once all is there', async () => {
  await using site = await openIetfSite()
  const right = await begin(site, { 'Repr-Digest': digest('hello', 'sha-512') }, 'he')
  const wrong = await begin(site, { 'Repr-Digest': digest('no') }, 'he')

  const accepted = await append(site, right, 2, { body: 'llo', fields: WHOLE })
  const refused = await append(site, wrong, 2, { body: 'llo', fields: WHOLE })

  expect(accepted.status).toBe(201)
  // Complete, and of no use.
  expect(refused).toMatchObject({ status: 400, fields: { 'upload-complete': '?1' } })
  expect((await head(site, wrong)).status).toBe(404)
})

test.each([
  ['sha-256=1', 'sha-256'],
  ['sha-256=1, sha-512=10', 'sha-512'],
])(
  'A digest that the creation wants (%s) comes with the last answer',
  async (wanted, algorithm) => {
    await using site = await openIetfSite()
    const url = await begin(site, { 'Want-Repr-Digest': wanted }, 'he')

    const last = await append(site, url, 2, { body: 'llo', fields: WHOLE })
    const again = await append(site, url, 5, { fields: WHOLE })

    expect(last).toMatchObject({
      status: 201,
      fields: { 'repr-digest': digest('hello', algorithm) },
    })
    expect(again.fields['repr-digest']).toBe(digest('hello', algorithm))
  },
)

test('A digest that was announced is told to whoever wants one, and to nobody else', async () => {
  await using site = await openIetfSite()
  const announced = { ...WHOLE, 'Repr-Digest': digest('hello', 'sha-512') }

  const wanted = await post(site, { ...announced, 'Want-Repr-Digest': 'sha-256=1' }, 'hello')
  const plain = await post(site, announced, 'hello')

  expect(wanted.fields['repr-digest']).toBe(digest('hello', 'sha-512'))
  expect(plain.status).toBe(201)
  expect(plain.fields['repr-digest']).toBeUndefined()
})

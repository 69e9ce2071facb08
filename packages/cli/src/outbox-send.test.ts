import { HttpUrl } from 'ferry/transport'
import type { OutboxItem } from 'ferry/upload'
import { expect, test } from 'vitest'
import { chooseItems } from './outbox-send.ts'

const ITEM: OutboxItem = {
  id: '00112233-4455',
  name: 'a.bin',
  type: undefined,
  size: 2048,
  addedAt: 0,
  metadata: {},
  content: { mode: 'stored', partBytes: 1024, keptFrom: 0, sha256: 'ab' },
  note: undefined,
  leasedUntil: undefined,
}
function itemFor(url: string | undefined): OutboxItem {
  return { ...ITEM, metadata: url === undefined ? {} : { url } }
}

test.each([
  ['one of no URL', undefined, { url: 'http://a/', all: false }, 'http://a/'],
  ['one of this URL', 'http://a/', { url: 'http://a/', all: false }, 'http://a/'],
  ['one of another', 'http://b/', { url: 'http://a/', all: false }, undefined],
  ['one of another, of all', 'http://b/', { url: 'http://a/', all: true }, 'http://a/'],
  ['one with a URL', 'http://b/', { url: undefined, all: false }, 'http://b/'],
  ['one without', undefined, { url: undefined, all: false }, undefined],
])('chooseItems() has %s sent where it is to go', (_, target, { url, all }, sentTo) => {
  const choice = { url: url === undefined ? undefined : HttpUrl.parse(url), all }

  const { jobs, left } = chooseItems([itemFor(target)], choice)

  expect(jobs.map((job) => job.url.href)).toEqual(sentTo === undefined ? [] : [sentTo])
  expect(left).toHaveLength(sentTo === undefined ? 1 : 0)
})

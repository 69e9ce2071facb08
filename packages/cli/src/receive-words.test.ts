import type { UploadStatus } from 'ferry/receive'
import { expect, test } from 'vitest'
import {
  describeArrival,
  describeEnd,
  describeLoss,
  describePause,
  describeSite,
  type ReceiveSite,
} from './receive-words.ts'

const MIB = 1_048_576

const UPLOAD: UploadStatus = {
  id: '1',
  state: 'unfinished',
  offset: 2 * MIB,
  spans: [{ start: 0, end: 2 * MIB }],
  length: 8 * MIB,
  name: 'a.bin',
  metadata: {},
  notes: {},
  finish: 'when-full',
  owner: 'alice',
  door: 'tus',
  createdAt: 0,
  expiresAt: 1,
  isReceiving: true,
}

const SITE: ReceiveSite = {
  url: 'http://127.0.0.1:3000/api',
  folder: '/srv/in',
  machineAddresses: [],
  doors: ['indexedcp', 'ietf'],
  keyFile: undefined,
  problems: [],
  unfinished: [],
}

test('describeSite() tells where each protocol is, and who may', () => {
  expect(describeSite(SITE)).toEqual([
    'Receiving into /srv/in',
    '  IndexedCP   http://127.0.0.1:3000/api/upload',
    '  plain HTTP  http://127.0.0.1:3000/api/files/',
    'Anybody on this machine can upload; --key-file FILE lets in those with a key',
    'Ctrl-C ends it; what is unfinished then can go on at the next run',
  ])
})

test('describeSite() tells of keys, and of what earlier runs have left', () => {
  const lines = describeSite({
    ...SITE,
    doors: [],
    machineAddresses: ['192.0.2.1', '192.0.2.2'],
    keyFile: { path: '/srv/keys', isNew: true },
    problems: [
      { type: 'unreadable-journal', name: 'x.journal' },
      { type: 'unfinishable', name: 'y', cause: new Error('it is taken') },
    ],
    unfinished: Array.from({ length: 12 }, () => UPLOAD),
  })

  expect(lines.slice(1, -1)).toEqual([
    'It listens on every address of this machine: 192.0.2.1, 192.0.2.2',
    'Made the key file /srv/keys, with a new key behind the word "default"; only you can read it',
    'Clients send "Authorization: Bearer KEY"; those of IndexedCP take KEY from INDEXCP_API_KEY',
    'Left alone: x.journal, whose journal cannot be read',
    'Left alone: y, which is whole but cannot get its name (it is taken)',
    `12 uploads of before can go on: ${'a.bin, '.repeat(10)}…`,
  ])
})

test('describeArrival() tells how fast it came, where it took its time', () => {
  const bytes = 8 * MIB

  expect(describeArrival(UPLOAD, { bytes, elapsedMs: 4000 }, '/srv/in')).toBe(
    '/srv/in/a.bin: 8 MiB in 4.0 s (2 MiB/s), by tus from alice',
  )
  for (const elapsedMs of [undefined, 99]) {
    expect(describeArrival({ ...UPLOAD, owner: undefined }, { bytes, elapsedMs }, '/srv/in')).toBe(
      '/srv/in/a.bin: 8 MiB, by tus',
    )
  }
})

test('describeLoss() and describePause() tell how far it was', () => {
  const unknown = { ...UPLOAD, length: undefined }

  expect(describeLoss({ id: '1', type: 'terminated', upload: UPLOAD })).toBe(
    'a.bin: cancelled by its client at 2 MiB of 8 MiB',
  )
  expect(describeLoss({ id: '1', type: 'expired', upload: unknown })).toBe(
    'a.bin: expired at 2 MiB so far, and is removed',
  )
  expect(describeLoss({ id: '1', type: 'progress', upload: UPLOAD })).toBeUndefined()
  expect(describePause({ ...UPLOAD, finish: 'as-part' })).toBe(
    'part of an upload: nothing more came after 2 MiB of 8 MiB, by tus from alice; it can go on',
  )
  expect(describePause({ ...unknown, door: 'indexedcp', owner: undefined })).toBe(
    'a.bin: nothing more came after 2 MiB so far, by IndexedCP, which does not say whether that is all',
  )
})

test('describeEnd() lists what is unfinished, as far as there is room', () => {
  const twelve = Array.from({ length: 12 }, () => UPLOAD)

  expect(describeEnd([], SITE)).toEqual(['Stopped; nothing is unfinished'])
  expect(describeEnd([UPLOAD], SITE)).toEqual([
    'Stopped; 1 upload unfinished, kept in /srv/in/.ferry:',
    '  a.bin: 2 MiB of 8 MiB, by tus from alice',
    'The same command lets their clients go on, if it listens at http://127.0.0.1:3000/api again',
  ])
  expect(describeEnd(twelve, SITE)).toHaveLength(13)
  expect(describeEnd(twelve, SITE)[11]).toBe('  and 2 more')
})

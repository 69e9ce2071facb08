import { expect, test } from 'vitest'
import { HeaderFields } from '../semantics/header-fields.ts'
import { chooseProtocol, isIndexedCpPath, type ServerSigns } from './choose-protocol.ts'

const tus = HeaderFields.from({ 'Tus-Version': '1.0.0' })
const ietf = HeaderFields.from({ 'Upload-Limit': 'min-size=0' })
const both = HeaderFields.from([...tus, ...ietf])
const none = { type: 'none' } as const

test.each<[string, Partial<ServerSigns>, string | undefined]>([
  ['tus', { options: tus }, 'tus'],
  ['the draft', { options: ietf }, 'ietf'],
  ['both', { options: both }, 'tus'],
  ['neither', { options: HeaderFields.empty }, undefined],
  ['nothing', { options: undefined }, undefined],
  [
    'ids',
    { path: '/upload', options: both, status: { type: 'identified', upload: undefined } },
    'indexedcp',
  ],
  ['names', { path: '/upload', status: { type: 'by-name', received: new Set() } }, 'indexedcp'],
  ['tus, below /upload', { path: '/upload', options: tus, status: none }, 'tus'],
  ['nothing, below /upload', { path: '/upload', status: none }, 'indexedcp'],
])('chooseProtocol() where a server tells of %s', (_, signs, expected) => {
  expect(chooseProtocol({ path: '/files', options: undefined, status: undefined, ...signs })).toBe(
    expected,
  )
})

test('isIndexedCpPath() knows the path of the documents', () => {
  expect(['/upload', '/api/upload/'].map(isIndexedCpPath)).toEqual([true, true])
  expect(['/', '/uploads', '/upload/x', '/reupload'].map(isIndexedCpPath)).toEqual([
    false,
    false,
    false,
    false,
  ])
})

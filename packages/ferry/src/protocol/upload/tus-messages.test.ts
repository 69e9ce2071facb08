import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HeaderFields } from '../semantics/header-fields.ts'
import {
  formatAppend,
  formatConcatenation,
  formatCreation,
  readCreated,
  readStand,
  readTusServer,
} from './tus-messages.ts'

const fields = (init: Record<string, string>): HeaderFields => HeaderFields.from(init)
const SHA1_OF_NOTHING = 'da39a3ee5e6b4b0d3255bfef95601890afd80709'

test('readTusServer() reads what a server can do', () => {
  const server = readTusServer(
    fields({
      'Tus-Version': '0.2.2, 1.0.0',
      'Tus-Extension': 'creation, checksum,Concatenation',
      'Tus-Checksum-Algorithm': 'md5,sha1,sha256',
      'Tus-Max-Size': '1000',
    }),
  )

  expect(server).toEqual({
    extensions: new Set(['creation', 'checksum', 'concatenation']),
    maxSize: 1000,
    checksum: 'sha256',
  })
})

test.each<[string, Record<string, string>, unknown]>([
  ['a server that names its version only in Tus-Resumable', { 'Tus-Resumable': '1.0.0' }, {}],
  ['one of another version', { 'Tus-Version': '0.2.2' }, undefined],
  ['one that is none', {}, undefined],
])('readTusServer() knows %s', (_, answer, expected) => {
  const server = readTusServer(fields(answer))

  expect(server === undefined).toBe(expected === undefined)
})

test.each<[string, string | undefined]>([
  ['sha1', 'sha1'],
  ['md5,crc32', undefined],
])('readTusServer() takes of the algorithms %s', (algorithms, expected) => {
  const answer = { 'Tus-Resumable': '1.0.0', 'Tus-Checksum-Algorithm': algorithms }

  expect(readTusServer(fields({ ...answer, 'Tus-Extension': 'checksum' }))?.checksum).toBe(expected)
  expect(
    readTusServer(fields({ ...answer, 'Tus-Extension': 'creation' }))?.checksum,
  ).toBeUndefined()
})

test('formatCreation() tells length and metadata', () => {
  const creation = { isPart: false, hasContent: false }

  expect(
    formatCreation({ ...creation, length: 5, metadata: { filename: 'é.txt', empty: '' } }),
  ).toEqual({
    'Tus-Resumable': '1.0.0',
    'Upload-Length': '5',
    'Upload-Metadata': 'filename w6kudHh0,empty',
  })
  expect(formatCreation({ ...creation, length: undefined, metadata: {} })).toEqual({
    'Tus-Resumable': '1.0.0',
    'Upload-Defer-Length': '1',
  })
})

test('formatCreation() tells of parts and of content', () => {
  expect(formatCreation({ length: 5, metadata: {}, isPart: true, hasContent: true })).toEqual({
    'Tus-Resumable': '1.0.0',
    'Upload-Length': '5',
    'Upload-Concat': 'partial',
    'Content-Type': 'application/offset+octet-stream',
  })
})

test('formatCreation() leaves out keys that the field cannot have', () => {
  const metadata = { 'a b': '1', 'c,d': '2', é: '3', '': '4', ok: '5' }

  const told = formatCreation({ length: 5, metadata, isPart: false, hasContent: false })

  expect(told['Upload-Metadata']).toBe('ok NQ==')
})

test('formatCreation() gives metadata that can be read again', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (value) => {
      const told = formatCreation({
        length: 1,
        metadata: { value },
        isPart: false,
        hasContent: false,
      })
      const [, base64 = ''] = (told['Upload-Metadata'] as string).split(' ')

      expect(Buffer.from(base64, 'base64').toString()).toBe(value)
    }),
  )
})

test('formatConcatenation() names the parts in order', () => {
  expect(formatConcatenation(['http://h/1', 'http://h/2'], { filename: 'a' })).toEqual({
    'Tus-Resumable': '1.0.0',
    'Upload-Concat': 'final;http://h/1 http://h/2',
    'Upload-Metadata': 'filename YQ==',
  })
})

test('formatAppend() tells the offset, and what else is to be told', () => {
  const always = {
    'Tus-Resumable': '1.0.0',
    'Content-Type': 'application/offset+octet-stream',
    'Upload-Offset': '7',
  }

  expect(formatAppend(7)).toEqual(always)
  expect(
    formatAppend(7, { length: 9, checksum: { algorithm: 'sha1', hex: SHA1_OF_NOTHING } }),
  ).toEqual({
    ...always,
    'Upload-Length': '9',
    'Upload-Checksum': 'sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk=',
  })
})

test('readStand() reads how an upload stands', () => {
  const answer = { 'Upload-Offset': '3', 'Upload-Length': '9' }

  expect(readStand(fields(answer))).toEqual({ offset: 3, length: 9, expiresAt: undefined })
  expect(
    readStand(fields({ ...answer, 'Upload-Expires': 'Sat, 21 Nov 2026 10:00:00 GMT' })).expiresAt,
  ).toBe(Date.UTC(2026, 10, 21, 10))
})

test.each([undefined, '', '-1', '1.5', '0x10', '99999999999999999', '9007199254740992'])(
  'readStand() does not read the offset %s',
  (offset) => {
    const answer = offset === undefined ? {} : { 'Upload-Offset': offset }

    expect(() => readStand(fields(answer))).toThrow('Cannot read Upload-Offset of the answer')
  },
)

test('readCreated() reads where an upload is, and what was taken with its creation', () => {
  expect(readCreated(fields({ Location: '/files/1' }))).toEqual({
    location: '/files/1',
    offset: 0,
    expiresAt: undefined,
  })
  expect(readCreated(fields({ Location: '1', 'Upload-Offset': '5' })).offset).toBe(5)
  expect(() => readCreated(fields({}))).toThrow('Cannot read Location')
})

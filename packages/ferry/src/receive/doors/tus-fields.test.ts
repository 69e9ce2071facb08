import { expect, test } from 'vitest'
import { formatMetadata, parseChecksum, parseConcat, parseMetadata } from './tus-fields.ts'
import { formatNotes } from './upload-notes.ts'

test.each([
  ['', {}],
  ['filename YS50eHQ=', { filename: 'a.txt' }],
  ['filename YS50eHQ=,empty', { filename: 'a.txt', empty: '' }],
  ['filename YS50eHQ=,empty ', { filename: 'a.txt', empty: '' }],
  ['filename YS50eHQ=, filetype dGV4dA==', { filename: 'a.txt', filetype: 'text' }],
  ['na-me_.:;* w6Q=', { 'na-me_.:;*': 'ä' }],
])('parseMetadata() reads %s', (field, metadata) => {
  expect(parseMetadata(field).metadata).toEqual(metadata)
})

test.each([
  'filename YS50eHQ=,filename YS50eHQ=',
  'filename %%%',
  'filename YS50 eHQ=',
  'näme YS50eHQ=',
  ',',
])('parseMetadata() refuses %s', (field) => {
  expect(() => parseMetadata(field)).toThrow('Cannot read Upload-Metadata')
})

test.each([
  'filename YS50eHQ=,empty',
  // A value that is no UTF-8, spaces, and an empty value in its other form.
  'bytes //4=',
  'filename YS50eHQ=, filetype dGV4dA==',
  'empty ,filename YS50eHQ=',
])('formatMetadata() gives back %s as it came', (field) => {
  const { metadata, notes } = parseMetadata(field)

  expect(formatMetadata({ metadata, notes: formatNotes(notes) })).toBe(field)
})

test('formatMetadata() tells what came in by another door, as far as tus can tell it', () => {
  const metadata = { filename: 'a.txt', 'two words': 'x', ключ: 'x', 'a,b': 'x', '': 'x' }

  expect(formatMetadata({ metadata, notes: {} })).toBe('filename YS50eHQ=')
  expect(formatMetadata({ metadata: {}, notes: {} })).toBeUndefined()
})

test('parseChecksum() knows the algorithms that the door tells, and no others', () => {
  expect(parseChecksum('sha1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=')).toEqual({
    algorithm: 'sha1',
    hex: 'a9993e364706816aba3e25717850c26c9cd0d89d',
  })
  expect(() => parseChecksum('crc32 AAAA')).toThrow('expected sha1,sha256,sha512,md5')
  expect(() => parseChecksum('sha1')).toThrow('Cannot read Upload-Checksum')
  expect(() => parseChecksum('sha1 ****')).toThrow('Cannot read Upload-Checksum')
})

test('parseConcat() takes URLs of every form', () => {
  const field = 'final;/files/a http://host:1/x/files/b?q=1  c'

  expect(parseConcat(field)).toEqual({ type: 'final', ids: ['a', 'b', 'c'], field })
  expect(parseConcat('partial')).toEqual({ type: 'partial' })
  expect(parseConcat(undefined)).toEqual({ type: 'whole' })
  expect(() => parseConcat('final;')).toThrow('Cannot read Upload-Concat')
  expect(() => parseConcat('Partial')).toThrow('Cannot read Upload-Concat')
})

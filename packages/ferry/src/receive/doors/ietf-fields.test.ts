import { expect, test } from 'vitest'
import { formatDigest } from '../../protocol/upload/digest-field.ts'
import { formatComplete } from '../../protocol/upload/ietf-grammar.ts'
import {
  findDialect,
  formatLimit,
  parseBytes,
  parseComplete,
  parseDigests,
  parseMetadata,
  parseWantedDigest,
} from './ietf-fields.ts'

const ALL = new Set([3, 4, 5, 6, 7, 8, 9])

test.each([
  [3, { interopVersion: 3, isInverted: true, needsMediaType: false }],
  [4, { interopVersion: 4, isInverted: false, needsMediaType: false }],
  [5, { interopVersion: 5, isInverted: false, needsMediaType: false }],
  [6, { interopVersion: 6, isInverted: false, needsMediaType: true }],
  [9, { interopVersion: 9, isInverted: false, needsMediaType: true }],
  [10, { interopVersion: undefined, isInverted: false, needsMediaType: true }],
  ['"9"', { interopVersion: undefined, isInverted: false, needsMediaType: true }],
])('findDialect() finds how clients of version %s speak', (version, dialect) => {
  expect(findDialect({ 'upload-draft-interop-version': String(version) }, ALL)).toEqual(dialect)
})

test('Complete and incomplete are opposites', () => {
  const plain = findDialect({}, ALL)
  const inverted = findDialect({ 'upload-draft-interop-version': '3' }, ALL)

  expect(parseComplete({ 'upload-complete': '?1' }, plain)).toBe(true)
  expect(parseComplete({ 'upload-incomplete': '?1' }, inverted)).toBe(false)
  expect(parseComplete({ 'upload-incomplete': '?1' }, plain)).toBeUndefined()
  expect(formatComplete(true, plain)).toEqual({ 'Upload-Complete': '?1' })
  expect(formatComplete(true, inverted)).toEqual({ 'Upload-Incomplete': '?0' })
})

test.each([
  ['5', 5],
  ['0', 0],
  ['5;a=1', 5],
  ['-1', undefined],
  ['5.0', undefined],
  ['5, 6', undefined],
  ['"5"', undefined],
  ['1234567890123456', undefined],
  [undefined, undefined],
  [['5', '6'], undefined],
])('parseBytes() reads %o as %o', (field, bytes) => {
  expect(parseBytes(field)).toBe(bytes)
})

test('formatLimit() tells the limits, and that there are none', () => {
  expect(formatLimit({}, { now: 0 })).toBe('min-size=0')
  expect(formatLimit({ maxUploadBytes: 9 }, { now: 500, expiresAt: 2499.9 })).toBe(
    'max-size=9, max-age=1',
  )
  expect(formatLimit({ maxAppendBytes: 9, minAppendBytes: 0 }, { now: 500, expiresAt: 0 })).toBe(
    'max-append-size=9, min-append-size=0, max-age=0',
  )
})

test.each([
  ['sha-256=5, sha-512=9', 'sha512'],
  ['sha-256=5, sha-512=5', 'sha256'],
  ['sha-512=1, md5=10, unknown=10', 'sha512'],
  ['sha-256=0', undefined],
  ['sha-256', undefined],
  ['sha-256=1.0', undefined],
  ['sha-256=1,', undefined],
  [undefined, undefined],
])('parseWantedDigest() reads %s as %s', (field, algorithm) => {
  const headers = field === undefined ? {} : { 'want-repr-digest': field }

  expect(parseWantedDigest(headers)).toBe(algorithm)
})

test('formatDigest() writes what parseDigests() reads', () => {
  const hex = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
  const field = formatDigest({ algorithm: 'sha256', hex })

  expect(field).toMatch(/^sha-256=:[\w+/]{43}=:$/)
  expect(parseDigests({ 'repr-digest': field }).whole).toEqual({ algorithm: 'sha256', hex })
})

test('parseDigests() takes the strongest of each, and knows content from the whole', () => {
  const headers = {
    'content-digest': 'sha=:qZk+NkcGgWq6PiVxeFDCbJzQ2J0=:, md5=:kAFQmDzST7DWlj99KOF/cg==:',
    'repr-digest': 'md5=:kAFQmDzST7DWlj99KOF/cg==:, crc32=:AAAA:',
  }

  expect(parseDigests(headers)).toEqual({
    content: { algorithm: 'sha1', hex: 'a9993e364706816aba3e25717850c26c9cd0d89d' },
    whole: { algorithm: 'md5', hex: '900150983cd24fb0d6963f7d28e17f72' },
  })
  expect(parseDigests({ 'content-digest': 'nothing' })).toEqual({
    content: undefined,
    whole: undefined,
  })
})

test('parseMetadata() takes what a creation tells of its file', () => {
  const headers = {
    'content-disposition': "inline; filename*=UTF-8''%C3%A4.txt.gz",
    'content-type': 'text/plain',
    'content-encoding': 'gzip',
  }

  expect(parseMetadata(headers)).toEqual({
    filename: 'ä.txt.gz',
    filetype: 'text/plain',
    'content-encoding': 'gzip',
  })
  expect(parseMetadata({ 'content-type': 'application/partial-upload' })).toEqual({})
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fileNameFromDisposition } from '../semantics/content-disposition.ts'
import { HeaderFields } from '../semantics/header-fields.ts'
import {
  formatAppend,
  formatBare,
  formatCreation,
  formatDisposition,
  readBytes,
  readComplete,
  readInterim,
  readLimit,
  readStand,
} from './ietf-messages.ts'

const fields = (init: Record<string, string>): HeaderFields => HeaderFields.from(init)
const SHA256_OF_NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
const DIGEST_OF_NOTHING = 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:'

test('formatCreation() tells what is known of the file', () => {
  expect(
    formatCreation({
      interopVersion: 9,
      name: 'a.txt',
      type: 'text/plain',
      length: 5,
      isComplete: false,
      sha256: SHA256_OF_NOTHING,
    }),
  ).toEqual({
    'Upload-Draft-Interop-Version': '9',
    'Upload-Complete': '?0',
    'Upload-Length': '5',
    'Content-Type': 'text/plain',
    'Content-Disposition': 'inline; filename="a.txt"',
    'Repr-Digest': DIGEST_OF_NOTHING,
  })
})

test('formatCreation() leaves out what is not known', () => {
  const told = formatCreation({
    interopVersion: 9,
    name: 'a',
    type: undefined,
    length: undefined,
    isComplete: true,
    sha256: undefined,
  })

  expect(Object.keys(told)).toEqual([
    'Upload-Draft-Interop-Version',
    'Upload-Complete',
    'Content-Type',
    'Content-Disposition',
  ])
  expect(told).toMatchObject({
    'Upload-Complete': '?1',
    'Content-Type': 'application/octet-stream',
  })
})

test.each([
  [9, { 'Upload-Complete': '?1', 'Content-Type': 'application/partial-upload' }],
  [6, { 'Upload-Complete': '?1', 'Content-Type': 'application/partial-upload' }],
  [5, { 'Upload-Complete': '?1' }],
  [3, { 'Upload-Incomplete': '?0' }],
])('formatAppend() speaks interop version %i', (interopVersion, expected) => {
  const append = { interopVersion, offset: 7, isComplete: true, length: 9, sha256: undefined }

  expect(formatAppend(append)).toEqual({
    'Upload-Draft-Interop-Version': String(interopVersion),
    'Upload-Offset': '7',
    'Upload-Length': '9',
    ...expected,
  })
})

test('formatAppend() tells the digest of its content', () => {
  const append = { interopVersion: 9, offset: 0, isComplete: false, length: undefined }

  expect(formatAppend({ ...append, sha256: SHA256_OF_NOTHING })['Content-Digest']).toBe(
    DIGEST_OF_NOTHING,
  )
})

test('formatBare() tells the version alone', () => {
  expect(formatBare(8)).toEqual({ 'Upload-Draft-Interop-Version': '8' })
})

test.each([
  ['?1', 9, 'upload-complete', true],
  ['?0', 9, 'upload-complete', false],
  ['?1', 3, 'upload-incomplete', false],
  ['?0', 3, 'upload-incomplete', true],
  ['1', 9, 'upload-complete', undefined],
  ['?1, ?0', 9, 'upload-complete', undefined],
  ['?1', 9, 'upload-incomplete', undefined],
])('readComplete() reads %s of version %i in %s as %s', (value, version, name, expected) => {
  expect(readComplete(fields({ [name]: value }), version)).toBe(expected)
})

test.each([
  ['5', 5],
  ['0', 0],
  ['-1', undefined],
  ['5.0', undefined],
  ['"5"', undefined],
  ['5, 6', undefined],
])('readBytes() reads %s as %s', (value, expected) => {
  expect(readBytes(fields({ 'Upload-Offset': value }), 'upload-offset')).toBe(expected)
})

test('readStand() reads the answer to HEAD', () => {
  const answer = { 'Upload-Offset': '3', 'Upload-Length': '9', 'Upload-Complete': '?0' }

  expect(readStand(fields(answer), 9)).toEqual({
    offset: 3,
    length: 9,
    expiresAt: undefined,
    isComplete: false,
  })
  expect(readStand(fields({ 'Upload-Offset': '3' }), 9).isComplete).toBe(false)
  expect(() => readStand(fields({ 'Upload-Complete': '?0' }), 9)).toThrow('Upload-Offset')
})

test('readLimit() reads what it knows', () => {
  const field = 'max-size=1000, max-append-size=10, min-append-size=5, max-age=60, other=1'

  expect(readLimit(fields({ 'Upload-Limit': field }))).toEqual({
    maxSize: 1000,
    maxAppendSize: 10,
    minAppendSize: 5,
  })
  expect(readLimit(fields({ 'Upload-Limit': 'min-size=0' }))).toEqual({
    maxSize: undefined,
    maxAppendSize: undefined,
    minAppendSize: undefined,
  })
  expect(readLimit(fields({ 'Upload-Limit': 'max-size=?' }))).toBeUndefined()
  expect(readLimit(fields({}))).toBeUndefined()
})

test.each<[string, number, Record<string, string>, unknown]>([
  ['the URL', 104, { Location: '/1' }, { location: '/1', offset: undefined }],
  ['an offset', 104, { 'Upload-Offset': '5' }, { location: undefined, offset: 5 }],
  [
    'news of the same version',
    104,
    { 'Upload-Draft-Interop-Version': '9' },
    { location: undefined, offset: undefined },
  ],
  ['nothing of another version', 104, { 'Upload-Draft-Interop-Version': '8' }, undefined],
  ['nothing of another status', 103, { Location: '/1' }, undefined],
])('readInterim() reads %s', (_, status, answer, expected) => {
  expect(readInterim({ status, headers: fields(answer) }, 9)).toEqual(expected)
})

test.each([
  ['a.txt', 'inline; filename="a.txt"'],
  ['a "b" \\c', `inline; filename="a \\"b\\" \\\\c"; filename*=UTF-8''a%20%22b%22%20%5Cc`],
  [
    "naïve (1)'.txt",
    `inline; filename="na_ve (1)'.txt"; filename*=UTF-8''na%C3%AFve%20%281%29%27.txt`,
  ],
])('formatDisposition() gives the name %s', (name, expected) => {
  expect(formatDisposition(name)).toBe(expected)
})

test('formatDisposition() gives every name so that it can be read again', () => {
  // Whoever reads it takes the last segment of what may be a path.
  const name = fc
    .string({ unit: 'grapheme', minLength: 1 })
    .filter((text) => !/[/\\\p{C}]/u.test(text) && text.trim() === text)

  fc.assert(
    fc.property(name, (text) => {
      const field = formatDisposition(text)

      expect(HeaderFields.from({ 'Content-Disposition': field }).size).toBe(1)
      expect(fileNameFromDisposition(field)).toBe(text)
    }),
  )
})

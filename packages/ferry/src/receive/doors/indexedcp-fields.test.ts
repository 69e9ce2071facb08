import { expect, test } from 'vitest'
import { parseChunkFields } from './indexedcp-fields.ts'

test('parseChunkFields() reads what every client sends', () => {
  const fields = parseChunkFields({
    'x-chunk-index': '12',
    'x-file-name': 'd/a.txt',
    'content-length': '7',
  })

  expect(fields).toMatchObject({ index: 12, clientName: 'd/a.txt', contentLength: 7 })
  expect(fields.extension).toEqual({
    uploadId: undefined,
    totalSize: undefined,
    chunkCount: undefined,
    chunkSize: undefined,
    chunkOffset: undefined,
    reprDigest: undefined,
  })
})

test('parseChunkFields() reads the extension', () => {
  const hex = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
  const sha256 = Buffer.from(hex, 'hex').toString('base64')
  const fields = parseChunkFields({
    'x-upload-id': 'u-1',
    'x-file-name': 'ignored',
    'x-file-name-encoded': 'na%C3%AFve%20%E2%82%AC.txt',
    'x-total-size': '100',
    'x-chunk-count': '3',
    'x-chunk-size': '40',
    'x-chunk-offset': '80',
    'content-digest': `sha-256=:${sha256}:`,
    'repr-digest': `sha-256=:${sha256}:`,
  })

  expect(fields.clientName).toBe('naïve €.txt')
  expect(fields.contentDigest).toEqual({ algorithm: 'sha256', hex })
  expect(fields.extension).toEqual({
    uploadId: 'u-1',
    totalSize: 100,
    chunkCount: 3,
    chunkSize: 40,
    chunkOffset: 80,
    reprDigest: { algorithm: 'sha256', hex },
  })
})

test.each([
  [{ 'content-encoding': 'gzip' }, 415],
  [{ 'x-file-name-encoded': '%zz' }, 400],
  [{ 'x-file-name': 'x'.repeat(4097) }, 400],
  [{ 'x-upload-id': 'with space' }, 400],
  [{ 'x-upload-id': 'x'.repeat(129) }, 400],
  [{ 'x-total-size': '-1' }, 400],
  [{ 'x-total-size': '9007199254740992' }, 400],
  [{ 'x-chunk-offset': '1e3' }, 400],
  [{ 'x-chunk-count': '10000001' }, 400],
])('parseChunkFields() refuses %j', (headers, status) => {
  expect(() => parseChunkFields(headers)).toThrow(expect.objectContaining({ status }))
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HeaderFields } from '../semantics/header-fields.ts'
import {
  completeUrl,
  formatChunk,
  formatUpload,
  readChunkAnswer,
  readStatus,
  statusUrl,
  toFieldText,
} from './indexedcp-messages.ts'

const SHA256_OF_NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
const DIGEST_OF_NOTHING = 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:'

test('formatChunk() tells old servers what they know', () => {
  expect(formatChunk({ index: 3, name: 'dir/a.txt' })).toEqual({
    'Content-Type': 'application/octet-stream',
    'X-Chunk-Index': '3',
    'X-File-Name': 'dir/a.txt',
  })
})

test('formatChunk() tells others where a chunk belongs', () => {
  const upload = { id: 'an-id', offset: 7, totalSize: 9, sha256: SHA256_OF_NOTHING }

  expect(formatChunk({ index: 1, name: 'ä€', sha256: SHA256_OF_NOTHING, upload })).toEqual({
    'Content-Type': 'application/octet-stream',
    'X-Chunk-Index': '1',
    'X-File-Name': Buffer.from('ä€').toString('latin1'),
    'X-File-Name-Encoded': '%C3%A4%E2%82%AC',
    'X-Upload-Id': 'an-id',
    'X-Chunk-Offset': '7',
    'X-Total-Size': '9',
    'Content-Digest': DIGEST_OF_NOTHING,
    'Repr-Digest': DIGEST_OF_NOTHING,
  })
})

test('formatUpload() leaves out what is not known', () => {
  expect(formatUpload({ id: 'an-id', totalSize: undefined, sha256: undefined })).toEqual({
    'X-Upload-Id': 'an-id',
  })
})

test.each([
  ['http://h:1/upload', 'http://h:1/upload'],
  ['http://h/api/upload', 'http://h/api/upload'],
  ['http://h/upload/upload', 'http://h/upload/upload'],
  ['http://h/upload/', 'http://h/upload'],
  ['http://h/upload?x=1#y', 'http://h/upload'],
  ['http://h/elsewhere/', 'http://h/elsewhere/upload'],
])('statusUrl() and completeUrl() of %s begin with %s', (endpoint, root) => {
  expect(statusUrl(endpoint, 'a')).toBe(`${root}/status?filename=a`)
  expect(completeUrl(endpoint)).toBe(`${root}/complete`)
})

test('statusUrl() gives the last segment of every name, and every id, so that they can be read again', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ minLength: 1 }), (text, id) => {
      const name = text.replaceAll('/', '')
      const { searchParams } = new URL(statusUrl('http://h/upload', `some/folder/${name}`, id))

      expect(searchParams.get('filename')).toBe(name.toWellFormed())
      expect(searchParams.get('uploadId')).toBe(id)
    }),
  )
})

const FACTS = { uploadId: 'x', offset: 5, size: 9, complete: false }

test.each<[string, number, string, unknown]>([
  [
    'a server that knows ids, and not this one',
    404,
    '{"error":"Upload not found"}',
    { type: 'identified', upload: undefined },
  ],
  [
    'one that knows it',
    200,
    JSON.stringify({ filename: 'a', receivedChunks: [], ...FACTS }),
    { type: 'identified', upload: { offset: 5, size: 9, isComplete: false, name: 'a' } },
  ],
  [
    'one whose size is not known',
    200,
    JSON.stringify({ filename: 'a', ...FACTS, size: null }),
    { type: 'identified', upload: { offset: 5, size: undefined, isComplete: false, name: 'a' } },
  ],
  [
    'the Python server',
    200,
    '{"filename": "a", "receivedChunks": [2, 0, -1, "x", 1]}',
    { type: 'by-name', received: new Set([2, 0, 1]) },
  ],
  ['the Node servers', 404, 'Not Found', { type: 'none' }],
  ['a server that answers everything', 200, '<html>', { type: 'none' }],
  ['one that answers with something else', 200, '{"status":"ok"}', { type: 'none' }],
  ['one whose offset is none', 200, JSON.stringify({ ...FACTS, offset: -1 }), { type: 'none' }],
  ['one that wants a file name', 400, '{"error":"Missing filename parameter"}', { type: 'none' }],
])('readStatus() knows %s', (_, status, text, expected) => {
  expect(readStatus(status, text)).toEqual(expected)
})

test.each<[string, string, unknown]>([
  [
    'an old server',
    '{"message":"Chunk received","actualFilename":"b","chunkIndex":0,"clientFilename":"a"}',
    { storedName: 'b', alreadyReceived: false, upload: undefined },
  ],
  [
    'one that had the chunk',
    '{"actualFilename":"b","alreadyReceived":true}',
    { storedName: 'b', alreadyReceived: true, upload: undefined },
  ],
  [
    'one that knows ids',
    JSON.stringify({ actualFilename: 'b', ...FACTS, complete: true }),
    {
      storedName: 'b',
      alreadyReceived: false,
      upload: { offset: 5, size: 9, isComplete: true, name: 'b' },
    },
  ],
  [
    'the simple server',
    'Chunk received\n',
    { storedName: undefined, alreadyReceived: false, upload: undefined },
  ],
  [
    'one that says nothing',
    '',
    { storedName: undefined, alreadyReceived: false, upload: undefined },
  ],
  [
    'one that says null',
    'null',
    { storedName: undefined, alreadyReceived: false, upload: undefined },
  ],
])('readChunkAnswer() reads the answer of %s', (_, text, expected) => {
  expect(readChunkAnswer(text)).toEqual(expected)
})

test('toFieldText() gives every name as a field can carry it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (name) => {
      const text = toFieldText(name)

      expect(HeaderFields.from({ 'X-File-Name': text }).get('x-file-name')).toBe(text)
    }),
  )
  expect(toFieldText('é\n')).toBe('é_')
})

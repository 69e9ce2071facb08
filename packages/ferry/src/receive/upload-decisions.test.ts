import { expect, test } from 'vitest'
import type { Span } from '../transfer/span.ts'
import {
  decideComplete,
  decideEnd,
  decideLength,
  decideWrite,
  type KnownUpload,
  MAX_SPANS,
  type WriteRequest,
} from './upload-decisions.ts'
import { createFacts } from './upload-record.ts'

const MAX_BYTES = 1000

function makeUpload(spans: readonly Span[], length?: number): KnownUpload {
  const facts = createFacts({
    id: 'id',
    createdAt: 0,
    name: 'a',
    finish: 'when-full',
    expiresInMs: 1,
    metadata: {},
    ...(length === undefined ? {} : { length }),
  })
  for (const span of spans) facts.spans.add(span)
  return { id: 'id', facts, length }
}

const PREFIX = [{ start: 0, end: 10 }]
const REQUEST: WriteRequest = {
  offset: 10,
  contentLength: undefined,
  contiguous: true,
  final: false,
}

test.each<
  [what: string, request: Partial<WriteRequest>, length: number | undefined, code?: string]
>([
  ['where it stands', {}, undefined],
  ['up to its length', { contentLength: 90 }, 100],
  ['nothing', { contentLength: 0 }, 10],
  ['before where it stands', { offset: 9 }, undefined, 'offset-mismatch'],
  ['behind where it stands', { offset: 11 }, undefined, 'offset-mismatch'],
  ['behind where it stands, anywhere', { offset: 11, contiguous: false }, undefined],
  ['beyond its length', { contentLength: 91 }, 100, 'length-mismatch'],
  ['up to the limit', { contentLength: 990 }, undefined],
  ['beyond the limit', { contentLength: 991 }, undefined, 'upload-too-large'],
  ['the end', { contentLength: 90, final: true }, 100],
  ['an end before its length', { contentLength: 89, final: true }, 100, 'length-mismatch'],
  [
    'an end before what is there',
    { offset: 5, contentLength: 2, contiguous: false, final: true },
    undefined,
    'length-mismatch',
  ],
])('decideWrite() answers to %s', (_, request, length, code) => {
  const refusal = decideWrite(makeUpload(PREFIX, length), { ...REQUEST, ...request }, MAX_BYTES)

  expect(refusal?.code).toBe(code)
})

test('decideWrite() tells both offsets', () => {
  expect(decideWrite(makeUpload(PREFIX), { ...REQUEST, offset: 3 }, MAX_BYTES)?.toJSON()).toEqual({
    code: 'offset-mismatch',
    message: 'Cannot append to upload id at 3: it stands at 10',
    detail: { expectedOffset: 10, providedOffset: 3 },
  })
})

test('decideWrite() takes nothing for a finished upload', () => {
  const upload = makeUpload(PREFIX, 10)
  upload.facts.completed = { name: 'a', at: 1 }

  expect(decideWrite(upload, REQUEST, MAX_BYTES)?.code).toBe('upload-complete')
})

test('decideWrite() takes no more pieces than it can keep account of, but fills gaps', () => {
  const upload = makeUpload([])
  for (let index = 0; index < MAX_SPANS; index++) {
    upload.facts.spans.add({ start: index * 10, end: index * 10 + 5 })
  }
  const apart = { ...REQUEST, contiguous: false, contentLength: 1 }

  expect(decideWrite(upload, { ...apart, offset: 7 }, 1e9)?.detail).toEqual({ limit: 'spans' })
  expect(decideWrite(upload, { ...apart, offset: 5 }, 1e9)).toBeUndefined()
})

test('decideEnd() lets bytes come up to the length and the limit', () => {
  expect(decideEnd(makeUpload([], 20), 20, MAX_BYTES)).toBeUndefined()
  expect(decideEnd(makeUpload([], 20), 21, MAX_BYTES)?.code).toBe('length-mismatch')
  expect(decideEnd(makeUpload([]), 1000, MAX_BYTES)).toBeUndefined()
  expect(decideEnd(makeUpload([]), 1001, MAX_BYTES)?.code).toBe('upload-too-large')
})

test.each<[length: number, known: number | undefined, code?: string]>([
  [10, undefined],
  [9, undefined, 'length-mismatch'],
  [1000, undefined],
  [1001, undefined, 'upload-too-large'],
  [20, 20],
  [21, 20, 'length-mismatch'],
])('decideLength() answers to %s where %s is known', (length, known, code) => {
  expect(decideLength(makeUpload(PREFIX, known), length, MAX_BYTES)?.code).toBe(code)
})

test('decideComplete() names the first gap', () => {
  expect(decideComplete(makeUpload(PREFIX, 10).facts)).toBeUndefined()
  expect(decideComplete(makeUpload(PREFIX).facts)?.message).toBe(
    'Cannot finish upload id: its length is unknown',
  )
  const gappy = makeUpload([...PREFIX, { start: 12, end: 20 }], 30).facts
  expect(decideComplete(gappy)?.message).toBe(
    'Cannot finish upload id: bytes 10 to 11 of 30 are missing',
  )
  expect(decideComplete(gappy)?.detail).toEqual({ length: 30, missing: [10, 12] })
})

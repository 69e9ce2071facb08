import { describe, expect, test } from 'vitest'
import { formatRecord, parseRecords } from '../transfer/record-log.ts'
import {
  applyRecord,
  createFacts,
  extentOf,
  formatHeader,
  isDue,
  offsetOf,
  parseUpload,
  type UploadHeader,
  type UploadRecord,
} from './upload-record.ts'

const BOOT = 'boot-1'
const HEADER: UploadHeader = {
  id: '0123456789abcdef0123456789abcdef',
  createdAt: 1000,
  name: 'a.txt',
  finish: 'when-full',
  expiresInMs: 5000,
  metadata: { filename: 'ä.txt' },
  owner: 'anna',
  door: 'tus',
  length: 100,
  digest: { algorithm: 'sha256', hex: 'ab' },
}
const RECORDS: readonly UploadRecord[] = [
  {
    type: 'spans',
    spans: [
      [0, 10],
      [20, 30],
    ],
    at: 2000,
  },
  { type: 'length', length: 100 },
  { type: 'digest', digest: { algorithm: 'sha512', hex: 'cd' } },
  { type: 'told' },
  { type: 'publishing', name: 'a (1).txt' },
  { type: 'completed', name: 'a (1).txt', at: 3000 },
  { type: 'removed' },
]

/** Through the text of a journal and back. */
function reread(records: readonly object[]): unknown[] {
  return parseRecords(records.map(formatRecord).join(''))
}

test('parseUpload() gives what the records have made of the upload', () => {
  for (let count = 0; count <= RECORDS.length; count++) {
    const facts = createFacts(HEADER)
    for (const record of RECORDS.slice(0, count)) applyRecord(facts, record)

    const parsed = parseUpload(reread([formatHeader(HEADER), ...RECORDS.slice(0, count)]), BOOT)

    expect({ ...parsed, spans: parsed?.spans.toJSON() }).toEqual({
      ...facts,
      spans: facts.spans.toJSON(),
    })
  }
})

test.each<[what: string, header: object]>([
  ['nothing', {}],
  ['another kind of file', { type: 'download', format: 1 }],
  ['another format', { ...formatHeader(HEADER), format: 2 }],
  ['no id', { ...formatHeader(HEADER), id: 7 }],
  ['a length below 0', { ...formatHeader(HEADER), length: -1 }],
  ['an unknown rule', { ...formatHeader(HEADER), finish: 'soon' }],
  ['an unknown algorithm', { ...formatHeader(HEADER), digest: { algorithm: 'crc', hex: '' } }],
  ['no metadata', { ...formatHeader(HEADER), metadata: null }],
])('parseUpload() reads no header with %s', (_, header) => {
  expect(parseUpload(reread([header]), BOOT)).toBeUndefined()
})

test.each<[what: string, record: object]>([
  ['an unknown type', { type: 'moved' }],
  ['a span that is no pair', { type: 'spans', spans: [[1]], at: 1 }],
  ['a fraction', { type: 'spans', spans: [[0, 1.5]], at: 1 }],
  ['a name that is none', { type: 'publishing', name: 5 }],
  ['a length that is none', { type: 'length', length: '5' }],
])('parseUpload() guesses nothing from a record with %s', (_, record) => {
  expect(parseUpload(reread([formatHeader(HEADER), record]), BOOT)).toBeUndefined()
})

test('parseUpload() believes spans that were not synced only until the system starts again', () => {
  const records = reread([
    formatHeader(HEADER),
    { type: 'spans', spans: [[0, 5]], at: 1 },
    { type: 'spans', spans: [[5, 10]], at: 2, boot: BOOT },
  ])

  expect(parseUpload(records, BOOT)?.spans.toJSON()).toEqual([[0, 10]])
  expect(parseUpload(records, 'boot-2')?.spans.toJSON()).toEqual([[0, 5]])
})

describe('facts', () => {
  test('offset and extent tell how far the bytes go, without and with gaps', () => {
    const facts = createFacts(HEADER)
    expect([offsetOf(facts), extentOf(facts)]).toEqual([0, 0])

    applyRecord(facts, RECORDS[0] as UploadRecord)
    expect([offsetOf(facts), extentOf(facts)]).toEqual([10, 30])
    facts.length = 25

    expect(extentOf(facts)).toBe(25)
  })

  test.each([
    { finish: 'when-full', isTold: false, due: true },
    { finish: 'when-told', isTold: false, due: false },
    { finish: 'when-told', isTold: true, due: true },
  ] as const)('isDue() of a full upload by $finish, told: $isTold, is $due', (row) => {
    const facts = createFacts({ ...HEADER, finish: row.finish })
    facts.isTold = row.isTold
    facts.spans.add({ start: 0, end: 99 })
    expect(isDue(facts)).toBe(false)

    facts.spans.add({ start: 99, end: 100 })
    expect(isDue(facts)).toBe(row.due)
    facts.completed = { name: 'a', at: 1 }

    expect(isDue(facts)).toBe(false)
  })
})

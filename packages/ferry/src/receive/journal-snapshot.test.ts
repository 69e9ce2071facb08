import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatRecord, parseRecords } from '../transfer/record-log.ts'
import { snapshotOf } from './journal-snapshot.ts'
import {
  applyRecord,
  createFacts,
  formatHeader,
  parseUpload,
  type UploadFacts,
  type UploadHeader,
  type UploadRecord,
} from './upload-record.ts'

const BOOT = 'boot-1'
const HEADER: UploadHeader = {
  id: '0123456789abcdef0123456789abcdef',
  createdAt: 1000,
  name: 'a.txt',
  finish: 'when-told',
  expiresInMs: 5000,
  metadata: { filename: 'ä.txt' },
  notes: { tusConcat: 'final;x' },
}

const at = fc.integer({ min: 1000, max: 9000 })
const name = fc.constantFrom('a.txt', 'a (1).txt')
const span = fc
  .tuple(fc.nat({ max: 40 }), fc.integer({ min: 1, max: 10 }))
  .map(([start, length]): [number, number] => [start, start + length])
const record: fc.Arbitrary<UploadRecord> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ type: fc.constant('spans' as const), spans: fc.array(span), at }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('spans' as const),
      spans: fc.array(span, { minLength: 1 }),
      at,
      boot: fc.constant(BOOT),
    }),
  },
  { weight: 3, arbitrary: span.map(([start, end]) => ({ type: 'piece' as const, start, end })) },
  fc.constant<UploadRecord>({ type: 'length', length: 50 }),
  fc.constant<UploadRecord>({ type: 'digest', digest: { algorithm: 'md5', hex: 'ab' } }),
  fc.record({ type: fc.constantFrom('exposed' as const, 'publishing' as const), name }),
  fc.record({ type: fc.constant('completed' as const), name, at }),
  fc.record({ type: fc.constant('used' as const), at }),
  fc
    .constantFrom('told' as const, 'announced' as const, 'lost' as const, 'removed' as const)
    .map((type) => ({ type })),
)

/** Facts as plain values; when the last bytes came counts only where any have come. */
function plain(facts: UploadFacts | undefined): object {
  return { ...facts, spans: facts?.spans.toJSON(), unsynced: facts?.unsynced.toJSON() }
}

function reread(records: readonly object[]): UploadFacts | undefined {
  return parseUpload(parseRecords(records.map(formatRecord).join('')), BOOT)
}

test('snapshotOf() tells the same as any records, in a journal that does not grow with them', () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 60 }), fc.boolean(), (records, hasLength) => {
      const header = hasLength ? { ...HEADER, length: 50 } : HEADER
      const facts = createFacts(header)
      // Some records move the last activity without leaving anything else behind.
      const known: UploadRecord[] = [{ type: 'spans', spans: [[100, 101]], at: 1000 }, ...records]
      for (const one of known) applyRecord(facts, one)

      const snapshot = snapshotOf(facts, BOOT)

      expect(plain(reread(snapshot))).toEqual(plain(facts))
      expect(plain(reread(snapshot))).toEqual(plain(reread([formatHeader(header), ...known])))
      expect(snapshot.length).toBeLessThanOrEqual(14)
    }),
  )
})

test('snapshotOf() leaves bytes that are not synced bound to this start of the system', () => {
  const facts = createFacts(HEADER)
  applyRecord(facts, { type: 'spans', spans: [[0, 10]], at: 2000 })
  applyRecord(facts, { type: 'spans', spans: [[10, 20]], at: 3000, boot: BOOT })

  const afterPowerCut = parseUpload(snapshotOf(facts, BOOT), 'boot-2')

  expect(afterPowerCut?.spans.toJSON()).toEqual([[0, 10]])
})

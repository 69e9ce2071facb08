import { expect, test } from 'vitest'
import { GRACE_MS, keepMsOf, msLeft, recoverActivity } from './upload-lifetime.ts'
import { applyRecord, createFacts, type FinishRule } from './upload-record.ts'

const HOUR_MS = 3_600_000
const EPOCH = 1_700_000_000_000

test('msLeft() goes by the clock of the process while that runs, whatever the date says', () => {
  const activity = { at: 1000 }
  for (const epochNow of [0, EPOCH, EPOCH * 2]) {
    expect(msLeft(activity, 500, { now: 1200, epochNow })).toBe(300)
    expect(msLeft(activity, 500, { now: 1500, epochNow })).toBe(0)
  }
})

test.each<[what: string, dateAtStart: number, dateNow: number, leftHours: number]>([
  ['the date is right', 10, 11, 13],
  // The clock was wrong at the start, and was put right since.
  ['the date was years ahead at the start', 100_000, 11, 13],
  ['the date jumps ahead by years', 10, 100_000, 13],
  // It may be kept for too long, but never for ever.
  ['the date jumps back by 5 hours', 10, 6, 18],
  ['the date jumps back behind the record', 10, -100_000, 13],
  ['the record is of the future', -5, -4, 23],
])('msLeft() of what an earlier process has left, when %s', (_, start, dateNow, left) => {
  const now = 50 * HOUR_MS
  const recordedAt = EPOCH
  const activity = recoverActivity(recordedAt, { now, epochNow: EPOCH + start * HOUR_MS })

  const instant = { now: now + HOUR_MS, epochNow: EPOCH + dateNow * HOUR_MS }

  expect(msLeft(activity, 24 * HOUR_MS, instant)).toBe(left * HOUR_MS)
})

test('msLeft() gives what is too old at a start a while for its client to come back', () => {
  const now = 1000
  const activity = recoverActivity(EPOCH, { now, epochNow: EPOCH + 1000 * HOUR_MS })
  const instant = { now, epochNow: EPOCH + 1000 * HOUR_MS }

  expect(msLeft(activity, 24 * HOUR_MS, instant)).toBe(GRACE_MS)
  expect(msLeft(activity, 24 * HOUR_MS, { ...instant, now: now + GRACE_MS })).toBe(0)
  // Never for longer than it is kept at all.
  expect(msLeft(activity, 50, instant)).toBe(50)
})

test.each<[finish: FinishRule, record: 'none' | 'used' | 'completed', keepMs: number]>([
  ['when-full', 'none', 5000],
  ['when-full', 'completed', 2000],
  ['as-part', 'none', 5000],
  ['as-part', 'used', 2000],
])('keepMsOf() an upload that is finished %s, with %s', (finish, record, keepMs) => {
  const facts = createFacts({
    ...{ id: 'id', createdAt: 0, name: 'a', finish, expiresInMs: 5000, metadata: {} },
  })
  if (record === 'used') applyRecord(facts, { type: 'used', at: 1 })
  if (record === 'completed') applyRecord(facts, { type: 'completed', name: 'a', at: 1 })

  expect(keepMsOf(facts, { keepCompletedMs: 2000 })).toBe(keepMs)
  expect(keepMsOf(facts, { keepCompletedMs: 9000 })).toBe(record === 'completed' ? 9000 : 5000)
})

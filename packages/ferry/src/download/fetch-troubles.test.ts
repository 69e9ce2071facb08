import { expect, test } from 'vitest'
import { ConnectError, StreamError, TransferError } from '../errors.ts'
import { answerFailure, type FailureFacts } from './fetch-troubles.ts'

const LOST = new StreamError('Cannot read on: the connection was lost')
const NO_HOST = new ConnectError('connect', 'Cannot connect')
const DISK = new TransferError('disk-failed', 'Cannot write: EIO')

function facts(changes: Partial<FailureFacts>): FailureFacts {
  return {
    error: LOST,
    delayMs: 500,
    failures: 0,
    maxRetries: 5,
    wasServed: true,
    nothingCame: false,
    othersDeliver: false,
    hasOtherPlace: false,
    ...changes,
  }
}

test.each<[string, Partial<FailureFacts>, string]>([
  ['a connection that was lost', {}, 'retry'],
  ['the last retry', { failures: 4 }, 'retry'],
  ['more failures than are allowed', { failures: 5 }, 'end'],
  ['what would fail in the same way', { delayMs: undefined }, 'end'],
  ['a host that was never reached', { error: NO_HOST, nothingCame: true }, 'end'],
  ['a host that was reached before', { error: NO_HOST }, 'retry'],
  ['one of several, at its first request', { wasServed: false, othersDeliver: true }, 'fewer'],
  ['one of several, which was served before', { othersDeliver: true }, 'retry'],
  ['the same for the second time', { othersDeliver: true, failures: 1 }, 'fewer'],
  ['one of several in vain', { othersDeliver: true, delayMs: undefined }, 'fewer'],
  ['a place beside others', { hasOtherPlace: true }, 'elsewhere'],
  [
    'a place that fails in the same way, beside others',
    { hasOtherPlace: true, delayMs: undefined },
    'elsewhere',
  ],
  [
    'one of several, beside other places',
    { wasServed: false, othersDeliver: true, hasOtherPlace: true },
    'fewer',
  ],
  [
    'our own disk, whoever else delivers',
    { error: DISK, delayMs: undefined, othersDeliver: true, hasOtherPlace: true },
    'end',
  ],
])('answerFailure() to %s', (_, changes, answer) => {
  expect(answerFailure(facts(changes))).toBe(answer)
})

test('answerFailure() never retries what may not be retried, whatever else holds', () => {
  const bools = [false, true]
  let cases = 0
  for (const error of [LOST, NO_HOST, DISK]) {
    for (const delayMs of [undefined, 0]) {
      for (const failures of [0, 1, 5, 6]) {
        for (const wasServed of bools) {
          for (const nothingCame of bools) {
            for (const othersDeliver of bools) {
              for (const hasOtherPlace of bools) {
                const some = { error, delayMs, failures, wasServed, nothingCame }
                const answer = answerFailure(facts({ ...some, othersDeliver, hasOtherPlace }))
                cases++
                if (answer === 'retry') {
                  expect(delayMs).toBeDefined()
                  expect(failures).toBeLessThan(5)
                }
                if (answer === 'fewer') expect(othersDeliver).toBe(true)
                if (answer === 'elsewhere') expect(hasOtherPlace).toBe(true)
              }
            }
          }
        }
      }
    }
  }
  expect(cases).toBe(384)
})

import { expect, test } from 'vitest'
import { outboxError } from './sqlite-errors.ts'

test.each([
  [5, 'locked', 'another process keeps it to itself'],
  // SQLITE_BUSY_SNAPSHOT
  [517, 'locked', 'another process keeps it to itself'],
  [13, 'no-space', 'the disk is full'],
  // SQLITE_IOERR_SHMSIZE, and SQLITE_IOERR_READ
  [4874, 'no-space', 'the disk is full'],
  [266, 'disk-failed', 'disk I/O error'],
])('result code %d is %s', (errcode, code, reason) => {
  const cause = Object.assign(new Error('disk I/O error'), { errcode })

  const error = outboxError('Cannot open the outbox o.db', cause)

  expect(error).toMatchObject({
    name: 'TransferError',
    code,
    message: `Cannot open the outbox o.db: ${reason}`,
    detail: { errcode },
  })
})

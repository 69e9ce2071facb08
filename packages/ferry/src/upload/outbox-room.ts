/**
 * Stops the adding to an outbox before the disk is full to the last byte: its log has to be carried
 * over to the file, and to clear up what was begun takes a little, too.
 */
import { statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { TransferError } from '../errors.ts'
import type { OutboxConnection } from './outbox-connection.ts'

/** For the rows, and for clearing up. */
const RESERVE_BYTES = 4_194_304

/** What is to be written. */
export interface NewBytes {
  readonly rowBytes: number
  readonly fileBytes: number
}

/** @throws {TransferError} `no-space`, when there is no room for so many more bytes */
export function checkRoom(connection: OutboxConnection, { rowBytes, fileBytes }: NewBytes): void {
  const { path } = connection
  // Rows are in the log first, then in the database.
  const neededBytes = RESERVE_BYTES + 2 * rowBytes + fileBytes
  if (readFreeBytes(path) >= neededBytes + readLogBytes(path)) return
  connection.withoutWaiting(() => connection.execute('PRAGMA wal_checkpoint(TRUNCATE)'))
  const freeBytes = readFreeBytes(path)
  if (freeBytes >= neededBytes + readLogBytes(path)) return
  throw new TransferError('no-space', `the disk is full but for ${freeBytes} bytes`, {
    detail: { freeBytes },
  })
}

function readFreeBytes(path: string): number {
  const { bavail, bsize, blocks } = statfsSync(dirname(path))
  // Some file systems do not tell.
  return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize
}

function readLogBytes(path: string): number {
  return statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
}

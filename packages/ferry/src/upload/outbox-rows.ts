/** Rows of the outbox's tables, as the items that callers see. Pure. */
import { isOver, type LeaseTerm, type LeaseTime, leftMs } from './lease-state.ts'
import type { OutboxItem, OutboxMetadata } from './outbox.ts'
import { hasEnded, type ProcessIdentity } from './process-identity.ts'

/** What SQLite gives for one row. */
export type Row = Readonly<Record<string, unknown>>

/** Who has something, and until when. */
interface Holder {
  readonly process: ProcessIdentity
  readonly term: LeaseTerm
}

/** The columns of an item, and of its holder where there is one. */
export const ITEM_COLUMNS: string =
  'id, name, type, size, added_at, metadata, part_bytes, kept_from, sha256, path, fingerprint, note, ' +
  'holder, token, boot, space, pid, start, until_wall, until_uptime, duration'

/** The item in a row of `ITEM_COLUMNS`. */
export function readItem(row: Row, time: LeaseTime, self: ProcessIdentity): OutboxItem {
  return {
    id: row['id'] as string,
    name: row['name'] as string,
    type: (row['type'] as string | null) ?? undefined,
    size: row['size'] as number,
    addedAt: row['added_at'] as number,
    metadata: JSON.parse(row['metadata'] as string) as OutboxMetadata,
    content: readContent(row),
    note: row['note'] === null ? undefined : JSON.parse(row['note'] as string),
    leasedUntil: readLeasedUntil(row, time, self),
  }
}

/** Who holds the thing in a row; undefined where nobody does. */
function readHolder(row: Row): Holder | undefined {
  if (row['token'] === null) return undefined
  const boot = row['boot'] as string
  return {
    process: {
      boot,
      space: row['space'] as string,
      pid: row['pid'] as number,
      start: row['start'] as string,
    },
    term: {
      boot,
      untilWallMs: row['until_wall'] as number,
      untilUptimeMs: row['until_uptime'] as number,
      durationMs: row['duration'] as number,
    },
  }
}

/** Whether the thing in a row is for anybody to take. */
export function isFree(row: Row, time: LeaseTime, self: ProcessIdentity): boolean {
  const holder = readHolder(row)
  return holder === undefined || isOver(holder.term, time, hasEnded(holder.process, self))
}

function readContent(row: Row): OutboxItem['content'] {
  if (row['path'] === null) {
    return {
      mode: 'stored',
      partBytes: row['part_bytes'] as number,
      keptFrom: row['kept_from'] as number,
      sha256: row['sha256'] as string,
    }
  }
  return {
    mode: 'reference',
    path: row['path'] as string,
    fingerprint: row['fingerprint'] as string,
    sha256: (row['sha256'] as string | null) ?? undefined,
  }
}

function readLeasedUntil(row: Row, time: LeaseTime, self: ProcessIdentity): number | undefined {
  const holder = readHolder(row)
  if (holder === undefined || isFree(row, time, self)) return undefined
  return time.wallMs + leftMs(holder.term, time)
}

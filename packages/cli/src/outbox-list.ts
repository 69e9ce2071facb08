/** The list of what is in an outbox, for people. Pure. */
import { HttpUrl } from 'ferry/transport'
import type { OutboxItem } from 'ferry/upload'
import { formatBytes, formatDuration } from './format.ts'
import { countFiles } from './outbox-items.ts'
import { targetOf } from './send-outbox.ts'

// Enough to tell them apart, mostly.
const ID_DIGITS = 8

/** Lines, the last one for all of them. */
export function describeItems(items: readonly OutboxItem[], now: number): string[] {
  if (items.length === 0) return ['The outbox is empty']
  const shortened = countShortIds(items)
  const rows = items.map((item) => [
    (shortened.get(shortIdOf(item)) ?? 0) > 1 ? item.id : shortIdOf(item),
    formatBytes(item.size),
    `${formatDuration(Math.max(0, now - item.addedAt))} ago`,
    stateOf(item),
    item.name + describeTarget(item),
  ])
  const table = [['ID', 'Size', 'Added', 'State', 'Name'], ...rows]
  const widths = [0, 1, 2, 3].map((column) =>
    table.reduce((widest, row) => Math.max(widest, row[column]?.length ?? 0), 0),
  )
  const bytes = items.reduce((sum, { size }) => sum + size, 0)
  return [
    ...table.map((row) => row.map((text, column) => text.padEnd(widths[column] ?? 0)).join('  ')),
    `${countFiles(items.length)}, ${formatBytes(bytes)}`,
  ]
}

/** As much of an id as mostly tells it from the others. */
function shortIdOf({ id }: OutboxItem): string {
  return id.slice(0, ID_DIGITS)
}

/** How many have each of these beginnings. */
function countShortIds(items: readonly OutboxItem[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const item of items) {
    const short = shortIdOf(item)
    counts.set(short, (counts.get(short) ?? 0) + 1)
  }
  return counts
}

function stateOf({ leasedUntil, note, content }: OutboxItem): string {
  if (leasedUntil !== undefined) return 'being sent'
  if (note !== undefined) return 'begun'
  return content.mode === 'stored' ? 'copied' : 'noted'
}

function describeTarget(item: OutboxItem): string {
  const target = targetOf(item)
  return target === undefined ? '' : ` → ${HttpUrl.parse(target).label}`
}

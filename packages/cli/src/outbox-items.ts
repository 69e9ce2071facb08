/** What commands do with items of an outbox beside sending them: adding each once, and telling of them. */
import type { Outbox, OutboxItem } from 'ferry/upload'
import { formatBytes } from './format.ts'

/** What has become of something that was to be added. */
export interface Added {
  readonly item: OutboxItem
  /** The same content was there under this name, and waits for the same server. */
  readonly wasThere: boolean
}

/**
 * Keeps an item that has just been added, unless the same is there already: then the older one stays,
 * of which a part may have been sent.
 */
export async function keepOnce(outbox: Outbox, added: OutboxItem): Promise<Added> {
  const same = (await outbox.list()).find((item) => item.id !== added.id && isSame(item, added))
  if (same === undefined || !(await outbox.remove(added.id)))
    return { item: added, wasThere: false }
  return { item: same, wasThere: true }
}

function isSame(one: OutboxItem, other: OutboxItem): boolean {
  return (
    one.name === other.name &&
    one.size === other.size &&
    identityOf(one) === identityOf(other) &&
    JSON.stringify(one.metadata) === JSON.stringify(other.metadata)
  )
}

/** Tells content apart. */
function identityOf({ content }: OutboxItem): string {
  if (content.mode === 'stored') return `stored ${content.sha256}`
  return `reference ${content.path} ${content.fingerprint}`
}

/** `./a.txt  1.5 MiB`, with what there is to know of it. */
export function describeItem(item: OutboxItem): string {
  const notes = [
    ...(item.content.mode === 'reference' ? ['stays where it is'] : []),
    ...(item.leasedUntil === undefined ? [] : ['being sent']),
    ...(item.leasedUntil === undefined && item.note !== undefined ? ['partly sent'] : []),
  ]
  return [`${item.name}  ${formatBytes(item.size)}`, ...notes].join(', ')
}

/** What programs are told of an item. */
export function itemFields(item: OutboxItem): object {
  const { id, name, type, size, addedAt, metadata, content, leasedUntil } = item
  return {
    ...{ id, name, type, size, addedAt, metadata, mode: content.mode, sha256: content.sha256 },
    ...(content.mode === 'reference' ? { path: content.path } : {}),
    ...{ isBeingSent: leasedUntil !== undefined },
  }
}

/** Removes items, but for those that are being sent. */
export async function removeAll(
  outbox: Outbox,
  items: readonly OutboxItem[],
): Promise<{ readonly removed: OutboxItem[]; readonly kept: OutboxItem[] }> {
  const removed: OutboxItem[] = []
  const kept: OutboxItem[] = []
  for (const item of items) {
    if (await outbox.remove(item.id)) removed.push(item)
    else if ((await outbox.get(item.id)) !== undefined) kept.push(item)
  }
  return { removed, kept }
}

export function countFiles(count: number): string {
  return count === 1 ? '1 file' : `${count} files`
}

/** What commands do with items of an outbox beside sending them: adding each once, and telling of them. */
import type { Outbox, OutboxItem } from 'ferry/upload'
import { formatBytes } from './format.ts'

// An outbox removes together what is asked for together, with one sync of the disk.
const REMOVED_AT_ONCE = 1000

/** What has become of something that was to be added. */
export interface Added {
  readonly item: OutboxItem
  /** The same content was there under this name, and waits for the same server. */
  readonly wasThere: boolean
}

/** Keeps once what one command adds to an outbox: the older of two that are the same stays. */
export class OnceBook {
  readonly #outbox: Outbox
  readonly #known = new Map<string, OutboxItem>()
  readonly #added = new Map<string, OutboxItem>()

  private constructor(outbox: Outbox, known: readonly OutboxItem[]) {
    this.#outbox = outbox
    for (const item of known) this.#know(item)
  }

  static async open(outbox: Outbox): Promise<OnceBook> {
    return new OnceBook(outbox, await outbox.list())
  }

  /** Keeps an item that has just been added, unless the same is there already, maybe partly sent. */
  async keep(item: OutboxItem): Promise<Added> {
    const known = this.#known.get(keyOf(item))
    const same = known === undefined ? undefined : await this.#outbox.get(known.id)
    if (same !== undefined && (await this.#outbox.remove(item.id))) {
      return { item: same, wasThere: true }
    }
    this.#known.set(keyOf(item), item)
    this.#added.set(item.id, item)
    return { item, wasThere: false }
  }

  /**
   * Gives up, at the end, what another process has added before this one did, since this began.
   * @returns what stays instead, by the ids of what was given up
   */
  async settle(): Promise<ReadonlyMap<string, OutboxItem>> {
    const instead = new Map<string, OutboxItem>()
    if (this.#added.size === 0) return instead
    const first = new Map<string, OutboxItem>()
    for (const item of await this.#outbox.list()) {
      const key = keyOf(item)
      const older = first.get(key)
      if (older === undefined) first.set(key, item)
      else if (this.#added.has(item.id) && (await this.#outbox.remove(item.id))) {
        instead.set(item.id, older)
      }
    }
    return instead
  }

  #know(item: OutboxItem): void {
    const key = keyOf(item)
    if (!this.#known.has(key)) this.#known.set(key, item)
  }
}

/** The same for items that are the same. */
function keyOf({ name, size, content, metadata }: OutboxItem): string {
  return JSON.stringify([name, size, identityOf(content), metadata])
}

/** Tells content apart. */
function identityOf(content: OutboxItem['content']): string {
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
  const removeOne = async (item: OutboxItem): Promise<void> => {
    if (await outbox.remove(item.id)) removed.push(item)
    else if ((await outbox.get(item.id)) !== undefined) kept.push(item)
  }
  for (let start = 0; start < items.length; start += REMOVED_AT_ONCE) {
    await Promise.all(items.slice(start, start + REMOVED_AT_ONCE).map(removeOne))
  }
  return { removed, kept }
}

export function countFiles(count: number): string {
  return count === 1 ? '1 file' : `${count} files`
}

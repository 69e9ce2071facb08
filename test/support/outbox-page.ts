/** An outbox of a page, for tests that drive it from outside: calls take and give what JSON takes. */
import { openIndexedDbOutbox } from '../../packages/ferry/src/upload/browser/indexeddb-outbox.ts'
import type {
  BrowserScope,
  LockManager,
} from '../../packages/ferry/src/upload/browser/idb-types.ts'
import type { NewItem, OutboxItem, OutboxLease } from '../../packages/ferry/src/upload/outbox.ts'
import type { OutboxPage, PageItem } from './outbox-page-calls.ts'

/** As much as a browser gives at a time. */
const MAX_RANDOM_BYTES = 65_536

const outbox = await openIndexedDbOutbox()
const leases = new Map<string, OutboxLease>()

const calls: OutboxPage = {
  add: (items) => settle(async () => await outbox.add(items.map((item) => newItem(item)))),
  addEndless(name, partBytes) {
    return new Promise((resolve) => {
      async function* endless(): AsyncGenerator<Uint8Array> {
        yield new Uint8Array(2.5 * partBytes)
        await new Promise(() => {})
      }
      const item = { name, content: { mode: 'stored', pieces: endless(), partBytes } } as const
      void outbox.add([item], { onProgress: (_, bytes) => bytes > partBytes && resolve() })
    })
  },
  addWhileOpening: (name) => settle(() => addWhileOpening(name)),
  list: () => settle(() => outbox.list()),
  lease: (id) =>
    settle(async () => {
      const lease = await outbox.lease(id)
      if (lease !== undefined) leases.set(id, lease)
      return lease !== undefined
    }),
  release: (id) => settle(() => leaseOf(id).release()),
  readPart: (id, index) =>
    settle(async () => {
      const { offset, bytes, sha256 } = await leaseOf(id).readPart(index)
      return { offset, length: bytes.length, head: [...bytes.subarray(0, 10)], sha256 }
    }),
  dropParts: (id, offset) => settle(() => leaseOf(id).dropParts(offset)),
  setNote: (id, note) => settle(() => leaseOf(id).setNote(note)),
  done: (id) => settle(() => leaseOf(id).done()),
  remove: (id) => settle(() => outbox.remove(id)),
  close: () => settle(() => outbox.close()),
  countRecords,
}
Object.assign(globalThis, { outboxPage: calls })

/** Errors lose their code on the way out of a page. */
async function settle<Value>(
  work: () => Promise<Value>,
): Promise<{ value?: Value; code?: string }> {
  try {
    return { value: await work() }
  } catch (error) {
    const { code, name } = error as { code?: string | number; name: string }
    return { code: typeof code === 'string' ? code : name }
  }
}

function newItem({ name, size, partBytes, isRandom }: PageItem): NewItem {
  function* pieces(): Generator<Uint8Array> {
    for (let start = 0; start < size; start += MAX_RANDOM_BYTES) {
      const piece = new Uint8Array(Math.min(MAX_RANDOM_BYTES, size - start))
      if (isRandom === true) crypto.getRandomValues(piece)
      else for (let at = 0; at < piece.length; at++) piece[at] = (start + at) % 251
      yield piece
    }
  }
  return { name, content: { mode: 'stored', pieces: pieces(), partBytes } }
}

async function addWhileOpening(name: string): Promise<OutboxItem[]> {
  const { locks } = (globalThis as BrowserScope).navigator as { locks: LockManager }
  const [begun, asked, ending, added] = Array.from({ length: 4 }, () =>
    Promise.withResolvers<void>(),
  ) as [Step, Step, Step, Step]
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(10)
    await ending.promise
  }
  const content = { mode: 'stored', pieces: pieces(), partBytes: 10 } as const
  const adding = outbox.add([{ name, content }], { onProgress: () => begun.resolve() })
  await begun.promise
  const query = locks.query.bind(locks)
  locks.query = async () => {
    asked.resolve()
    await added.promise
    return await query()
  }
  const opening = openIndexedDbOutbox()
  await asked.promise
  ending.resolve()
  const items = await adding
  locks.query = query
  added.resolve()
  await (await opening).close()
  return items
}

type Step = PromiseWithResolvers<void>

function leaseOf(id: string): OutboxLease {
  return leases.get(id) as OutboxLease
}

/** In both stores together. */
async function countRecords(): Promise<number> {
  interface Request {
    result: {
      transaction(names: string[]): { objectStore(name: string): { count(): Request } }
    } & number
    onsuccess: () => void
  }
  const { indexedDB } = globalThis as unknown as { indexedDB: { open(name: string): Request } }
  const resultOf = (request: Request): Promise<Request['result']> =>
    new Promise((resolve) => (request.onsuccess = () => resolve(request.result)))
  const database = await resultOf(indexedDB.open('ferry-outbox-indexcp'))
  const stores = database.transaction(['items', 'parts'])
  const items = resultOf(stores.objectStore('items').count())
  const parts = resultOf(stores.objectStore('parts').count())
  return (await items) + (await parts)
}

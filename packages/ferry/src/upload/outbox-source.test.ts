import { randomBytes } from 'node:crypto'
import { appendFile, rename, truncate, utimes } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { digestOf, TempDir } from '../../../../test/support/temp-dir.ts'
import type { Span } from '../transfer/span.ts'
import { readStreamToBytes } from '../transport/read-stream.ts'
import { createMemoryOutbox } from './memory-outbox.ts'
import { addContent, addFile } from './outbox-add.ts'
import { openOutboxSource } from './outbox-source.ts'
import type { Outbox, OutboxItem, OutboxLease } from './outbox.ts'
import type { UploadSource } from './upload-source.ts'

const BYTES = randomBytes(35)

describe('of a stored item', () => {
  test('the source is what was added', async () => {
    await using outbox = createMemoryOutbox()
    const item = await addContent(outbox, 'ä', BYTES, { type: 'text/plain', partBytes: 10 })

    await using source = await openOutboxSource(await leaseOf(outbox, item))

    expect(source).toMatchObject({
      name: 'ä',
      type: 'text/plain',
      size: 35,
      keptFrom: 0,
      fingerprint: item.id,
      sha256: digestOf(BYTES),
      maxPieceBytes: Number.POSITIVE_INFINITY,
    })
    expect(await source.prepare(0, 10)).toBe(10)
    expect(await source.prepare(30, 10)).toBe(35)
    expect(await source.prepare(5, Number.POSITIVE_INFINITY)).toBe(35)
  })

  test('every span of it can be had, again and again', async () => {
    await using outbox = createMemoryOutbox()
    const item = await addContent(outbox, 'a', BYTES, { partBytes: 10 })
    await using source = await openOutboxSource(await leaseOf(outbox, item))

    for (let start = 0; start <= 35; start++) {
      for (let end = start; end <= 35; end++) {
        const content = await source.content({ start, end })
        expect(content.length).toBe(end - start)
        const expected = BYTES.subarray(start, end)
        expect((await readStreamToBytes(content)).equals(expected)).toBe(true)
        expect((await readStreamToBytes(content)).equals(expected)).toBe(true)
      }
    }
  })

  test('what is released is dropped, and the rest stays', async () => {
    await using outbox = createMemoryOutbox()
    const item = await addContent(outbox, 'a', BYTES, { partBytes: 10 })
    await using source = await openOutboxSource(await leaseOf(outbox, item))

    await source.release(29)

    expect(source.keptFrom).toBe(20)
    expect(await read(source, { start: 20, end: 35 })).toEqual(BYTES.subarray(20))
    await expect(read(source, { start: 19, end: 35 })).rejects.toThrow(RangeError)
  })

  test('what is released is kept where the whole may be wanted again', async () => {
    await using outbox = createMemoryOutbox()
    const item = await addContent(outbox, 'a', BYTES, { partBytes: 10 })
    const lease = await leaseOf(outbox, item)
    await using source = await openOutboxSource(lease, { keepAcknowledged: true })

    await source.release(29)

    expect(source.keptFrom).toBe(0)
    expect(await read(source, { start: 0, end: 35 })).toEqual(BYTES)
  })

  test('an empty item is an empty source', async () => {
    await using outbox = createMemoryOutbox()
    const item = await addContent(outbox, 'a', '')
    await using source = await openOutboxSource(await leaseOf(outbox, item))

    expect(source.size).toBe(0)
    expect((await read(source, { start: 0, end: 0 })).length).toBe(0)
  })

  test('closing the source leaves the lease', async () => {
    await using outbox = createMemoryOutbox()
    const item = await addContent(outbox, 'a', BYTES)
    const lease = await leaseOf(outbox, item)
    const source = await openOutboxSource(lease)

    await source.close()

    await lease.renew()
    expect(await outbox.lease(item.id)).toBeUndefined()
  })
})

describe('of a reference', () => {
  test('the source is the file', async () => {
    await using folder = await TempDir.create()
    await using outbox = createMemoryOutbox()
    const path = await folder.write('a', BYTES)
    const item = await addFile(outbox, path, { mode: 'reference', digest: true, name: 'n' })

    await using source = await openOutboxSource(await leaseOf(outbox, item))

    expect(source).toMatchObject({ name: 'n', size: 35, keptFrom: 0, sha256: digestOf(BYTES) })
    expect(await read(source, { start: 3, end: 30 })).toEqual(BYTES.subarray(3, 30))
    await source.release(30)
    expect(await read(source, { start: 0, end: 35 })).toEqual(BYTES)
  })

  test.each<[change: string, (path: string) => Promise<void>]>([
    ['is longer', (path) => appendFile(path, 'x')],
    ['is shorter', (path) => truncate(path, 10)],
    ['was written again', (path) => utimes(path, 1, 2)],
    ['is another one', (path) => replace(path)],
    ['is gone', (path) => rename(path, `${path}.old`)],
  ])('a file that %s is refused, also in the middle', async (_, change) => {
    await using folder = await TempDir.create()
    await using outbox = createMemoryOutbox()
    const path = await folder.write('a', BYTES)
    const item = await addFile(outbox, path, { mode: 'reference' })
    const lease = await leaseOf(outbox, item)
    await using source = await openOutboxSource(lease)

    await change(path)

    const refused = { code: 'source-changed' }
    await expect(read(source, { start: 0, end: 35 })).rejects.toMatchObject(refused)
    await expect(openOutboxSource(lease)).rejects.toMatchObject(refused)
  })
})

/** Another file of the same size and time. */
async function replace(path: string): Promise<void> {
  const next = `${path}.next`
  await appendFile(next, BYTES)
  await rename(next, path)
}

async function leaseOf(outbox: Outbox, { id }: OutboxItem): Promise<OutboxLease> {
  const lease = await outbox.lease(id)
  if (lease === undefined) throw new Error(`Item ${id} is leased`)
  return lease
}

async function read(source: UploadSource, span: Span): Promise<Buffer> {
  return await readStreamToBytes(await source.content(span))
}

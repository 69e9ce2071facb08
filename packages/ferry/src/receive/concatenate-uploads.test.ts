import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { contentOf, MemoryUploads } from '../testing/upload-fixture.ts'
import type { BlobStore, UploadBlob } from './blob-store.ts'
import type { JournalStore, UploadJournal } from './journal-store.ts'
import { MemoryBlobStore } from './memory-blob-store.ts'
import type { UploadCore } from './upload-core.ts'
import { UploadFolder } from './upload-folder.ts'

const MIB = 1_048_576

async function createPart(core: UploadCore, content: string | Uint8Array): Promise<string> {
  const { id } = await core.create({ length: content.length, finish: 'as-part' })
  await core.append(id, 0, contentOf(content))
  return id
}

/** Stores that do so many things more, and then nothing, as if the process had ended. */
function crashAfter(
  steps: number,
  uploads: MemoryUploads,
): { readonly blobs: BlobStore; readonly journals: JournalStore } {
  let left = steps
  const wrap = <Target extends object>(target: Target): Target =>
    new Proxy(target, {
      get(_, name) {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        return (...args: unknown[]): unknown => {
          if (left-- <= 0) return Promise.reject(new Error('the process has ended'))
          const result: unknown = value.apply(target, args)
          return name === 'open'
            ? (result as Promise<UploadBlob | UploadJournal>).then((file) => wrap(file))
            : result
        }
      },
    })
  return { blobs: wrap<BlobStore>(uploads.blobs), journals: wrap<JournalStore>(uploads.journals) }
}

test('UploadCore.concatenate() leaves all or nothing, wherever a crash comes in between', async () => {
  let hasEnded = false
  for (let steps = 0; !hasEnded; steps++) {
    const uploads = new MemoryUploads()
    const before = await uploads.open()
    const parts = [await createPart(before, 'abc'), await createPart(before, 'de')]
    await before.close()
    // The start takes a few steps, too.
    const core = await uploads.open(crashAfter(steps, uploads)).catch(() => undefined)
    const whole = core?.concatenate([...parts, ...parts], { name: 'a' })
    hasEnded = await Promise.resolve(whole).then(
      (status) => status !== undefined,
      () => false,
    )

    await using next = await uploads.open()
    expect(next.problems).toEqual([])
    const found = [...next.list()].filter(({ id }) => !parts.includes(id))
    expect(found.map(({ state }) => state)).toEqual(found.map(() => 'completed'))
    expect(uploads.blobs.content('a')?.toString()).toBe(
      found.length === 0 ? undefined : 'abcdeabcde',
    )
    const kept = parts.map((id) => next.read(id, { start: 0, end: 9 }))
    expect((await Promise.all(kept)).join()).toBe('abc,de')
    const { lengths } = await uploads.blobs.recover()
    expect([...lengths.keys()].toSorted()).toEqual(parts.toSorted())
  }
})

test('UploadCore.concatenate() copies large parts with little memory, on disk too', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ferry-concat-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  await using opened = await UploadFolder.open(folder)
  const { core } = opened
  const contents = [9 * MIB, 1, 9 * MIB + 7, 0].map((length, index) =>
    Buffer.alloc(length, `part ${index}`),
  )
  const parts = []
  for (const content of contents) parts.push(await createPart(core, content))

  const whole = await core.concatenate(parts, { name: 'a' })

  expect(whole).toMatchObject({ state: 'completed', name: 'a', offset: 18 * MIB + 8 })
  expect((await readFile(join(folder, 'a'))).equals(Buffer.concat(contents))).toBe(true)
})

test('UploadCore.concatenate() reads no more than a few MiB at once', async () => {
  const lengths: number[] = []
  const blobs = new (class extends MemoryBlobStore {
    override async open(id: string): Promise<UploadBlob> {
      const blob = await super.open(id)
      const read = blob.read.bind(blob)
      blob.read = (offset, length) => {
        lengths.push(length)
        return read(offset, length)
      }
      return blob
    }
  })()
  await using core = await new MemoryUploads().open({ blobs })
  const parts = [await createPart(core, 'a'), await createPart(core, Buffer.alloc(20 * MIB))]

  await core.concatenate(parts)

  expect(Math.max(...lengths)).toBeLessThanOrEqual(4 * MIB)
})

test('UploadCore.concatenate() takes no bytes of a part that never counted', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open()
  const { id } = await core.create({ finish: 'as-part' })
  await core.append(id, 0, contentOf('abc'))
  const digest = { algorithm: 'md5', hex: '0' } as const
  await expect(core.append(id, 3, contentOf('XYZ'), { digest })).rejects.toThrow('Cannot accept')
  await core.setLength(id, 3)

  await core.concatenate([id], { name: 'one' })
  await core.concatenate([id, id], { name: 'two' })

  expect(uploads.blobs.content('one')?.toString()).toBe('abc')
  expect(uploads.blobs.content('two')?.toString()).toBe('abcabc')
})

test('UploadCore lets no part expire while it is being put together', async () => {
  const uploads = new MemoryUploads()
  const gate = Promise.withResolvers<void>()
  const copy = uploads.blobs.copy.bind(uploads.blobs)
  uploads.blobs.copy = async (from, to) => {
    await gate.promise
    await copy(from, to)
  }
  await using core = await uploads.open({ partsExpireInMs: 1000 })
  const parts = [await createPart(core, 'abc'), await createPart(core, 'def')]
  const whole = core.concatenate(parts, { name: 'a' })
  await new Promise(setImmediate)

  uploads.clock.advance(5000)
  await core.sweep()
  gate.resolve()

  expect((await whole).state).toBe('completed')
  expect(uploads.blobs.content('a')?.toString()).toBe('abcdef')
})

test('UploadCore.concatenate() leaves nothing behind when it is aborted', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open({ limits: { maxBytesPerOwner: 12 } })
  const parts = [await createPart(core, 'abc'), await createPart(core, 'def')]
  const copy = uploads.blobs.copy.bind(uploads.blobs)
  const aborting = new AbortController()
  uploads.blobs.copy = async (from, to) => {
    await copy(from, to)
    aborting.abort(new Error('enough'))
  }

  await expect(core.concatenate(parts, {}, aborting.signal)).rejects.toThrow('enough')

  expect((await uploads.journals.list()).toSorted()).toEqual(parts.toSorted())
  uploads.blobs.copy = copy
  await core.concatenate(parts, { name: 'a' })
  expect(uploads.blobs.content('a')?.toString()).toBe('abcdef')
})

// Digests of whole uploads, off the event loop.
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { contentOf, createSender, MemoryUploads } from '../testing/upload-fixture.ts'
import type { BlobDigest } from './blob-store.ts'
import type { Digest, DigestAlgorithm } from './digest.ts'
import { MemoryBlobStore } from './memory-blob-store.ts'
import { UploadFolder } from './upload-folder.ts'

const MIB = 1_048_576
const LENGTH = (process.env['FERRY_BIG'] === undefined ? 64 : 1024) * MIB

/** Digests that end when the test says so. */
class GatedDigests extends MemoryBlobStore {
  readonly opened: string[] = []
  readonly advanced: number[] = []
  readonly gates: PromiseWithResolvers<void>[] = []
  isReleased = false
  isOpen = 0
  most = 0

  override openDigest(id: string, algorithm: DigestAlgorithm): BlobDigest {
    const digest = super.openDigest(id, algorithm)
    const gate = Promise.withResolvers<void>()
    this.opened.push(id)
    this.gates.push(gate)
    this.most = Math.max(this.most, ++this.isOpen)
    return {
      advance: (end) => this.advanced.push(end),
      finish: async (size) => {
        if (!this.isReleased) await gate.promise
        return digest.finish(size)
      },
      close: () => {
        this.isOpen--
        gate.resolve()
        return digest.close()
      },
    }
  }
}

function digestOf(content: string | Uint8Array): Digest {
  return { algorithm: 'sha256', hex: createHash('sha256').update(content).digest('hex') }
}

test('UploadCore hashes a large upload without its event loop', { timeout: 120_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ferry-digest-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  await using opened = await UploadFolder.open(folder)
  const { core } = opened
  const block = randomBytes(MIB)
  const hash = createHash('sha512')
  for (let done = 0; done < LENGTH; done += MIB) hash.update(block)
  const digest: Digest = { algorithm: 'sha512', hex: hash.digest('hex') }
  const { id } = await core.create({ length: LENGTH, name: 'a', finish: 'when-told' })
  const blocks = function* (): Generator<Uint8Array> {
    for (let done = 0; done < LENGTH; done += MIB) yield block
  }
  await core.append(id, 0, Readable.from(blocks(), { objectMode: false }))

  const before = { own: process.threadCpuUsage().user, all: process.cpuUsage().user }
  await core.complete(id, { digest })
  const own = process.threadCpuUsage().user - before.own
  const all = process.cpuUsage().user - before.all

  expect(core.status(id).state).toBe('completed')
  expect(own).toBeLessThan(all / 2)
})

test('UploadCore hashes a large upload while it comes, and finds the one wrong byte', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ferry-digest-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  await using opened = await UploadFolder.open(folder, { checkpointMs: 5 })
  const { core } = opened
  const content = randomBytes(40 * MIB)
  const right = await core.create({ name: 'a', length: content.length, digest: digestOf(content) })
  const wrong = await core.create({ name: 'b', length: content.length, digest: digestOf(content) })
  const spoilt = Buffer.from(content)
  spoilt[20 * MIB] = (spoilt[20 * MIB] as number) ^ 1

  for (let start = 0; start < content.length; start += 8 * MIB) {
    await core.append(right.id, start, contentOf(content.subarray(start, start + 8 * MIB)))
    const last = core.append(wrong.id, start, contentOf(spoilt.subarray(start, start + 8 * MIB)))
    if (start + 8 * MIB < content.length) await last
    else await expect(last).rejects.toMatchObject({ code: 'digest-mismatch' })
  }

  expect((await readFile(join(folder, 'a'))).equals(content)).toBe(true)
  expect(core.status(wrong.id).state).toBe('unfinished')
})

test('UploadCore tells the digest of what is journaled only, in order', async () => {
  const blobs = new GatedDigests()
  const uploads = new MemoryUploads()
  await using core = await uploads.open({ blobs })
  const content = Buffer.alloc(17 * MIB, 'x')
  const length = 2 * content.length
  const whole = Buffer.concat([content, content])
  const { id } = await core.create({ name: 'a', length, digest: digestOf(whole) })

  await core.write(id, content.length, contentOf(content))
  expect(blobs.advanced).toEqual([])
  const sender = createSender()
  const writing = core.write(id, 0, sender)
  sender.push(content.subarray(0, MIB))
  await new Promise(setImmediate)
  expect(blobs.advanced).toEqual([])
  sender.push(content.subarray(MIB))
  sender.push(null)
  await expect.poll(() => blobs.opened.length).toBe(1)
  blobs.gates[0]?.resolve()
  await writing

  expect(blobs.advanced).toEqual([length])
  expect(core.status(id).state).toBe('completed')
})

test('UploadCore has a bounded number of digests at a time; who is whole comes first', async () => {
  const blobs = new GatedDigests()
  await using core = await new MemoryUploads().open({ blobs })
  const part = Buffer.alloc(17 * MIB, 'x')
  // These wait for more; each could be hashed ahead.
  for (let index = 0; index < 6; index++) {
    const digest = digestOf('never')
    const { id } = await core.create({ length: part.length + 1, digest })
    await core.append(id, 0, contentOf(part))
  }
  const ahead = blobs.opened.length
  expect(ahead).toBe(blobs.most)

  const finishing = Array.from({ length: 8 }, async (_, index) => {
    const { id } = await core.create({ length: 1, name: `${index}`, digest: digestOf('x') })
    return (await core.append(id, 0, contentOf('x'))).state
  })
  await expect.poll(() => blobs.opened.length).toBe(2 * ahead)
  expect(blobs.most).toBe(ahead)
  const release = (): void => blobs.gates.forEach((gate) => gate.resolve())
  await expect
    .poll(() => {
      release()
      return blobs.opened.length
    })
    .toBe(ahead + 8)
  release()

  expect(await Promise.all(finishing)).toEqual(Array.from({ length: 8 }, () => 'completed'))
  expect(blobs.most).toBe(ahead)
})

test('UploadCore gives up a digest when the upload is terminated, or the core is closed', async () => {
  const uploads = new MemoryUploads()
  const blobs = new GatedDigests()
  const core = await uploads.open({ blobs })
  const begin = async (name: string): Promise<{ id: string; outcome: Promise<unknown> }> => {
    const { id } = await core.create({ length: 1, name, digest: digestOf('x') })
    return { id, outcome: core.append(id, 0, contentOf('x')).catch((error: unknown) => error) }
  }
  const one = await begin('one')
  const two = await begin('two')
  await expect.poll(() => blobs.opened.length).toBe(2)

  await core.terminate(one.id)
  await core.close()

  for (const { outcome } of [one, two]) {
    expect(await outcome).toMatchObject({ code: 'upload-interrupted' })
  }
  expect(blobs.isOpen).toBe(0)
  // The other one is whole, and a start finishes it.
  blobs.isReleased = true
  await using next = await uploads.open({ blobs })
  expect(next.status(two.id)).toMatchObject({ state: 'completed', name: 'two' })
})

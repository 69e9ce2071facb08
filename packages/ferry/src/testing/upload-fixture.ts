/** Sources of uploads that a test moves by hand, and cores in memory. */
import { Readable } from 'node:stream'
import { MemoryBlobStore } from '../receive/memory-blob-store.ts'
import { MemoryJournalStore } from '../receive/memory-journal-store.ts'
import { UploadCore } from '../receive/upload-core.ts'
import type { UploadCoreOptions, UploadEvent } from '../receive/upload-options.ts'
import { FakeClock } from './fake-clock.ts'

/** A readable that brings what the test pushes, and nothing else. */
export function createSender(): Readable {
  return new Readable({ read() {} })
}

/** Content of a few chunks, all there at once. */
export function contentOf(...chunks: readonly (string | Uint8Array)[]): Readable {
  return Readable.from(
    chunks.map((chunk) => Buffer.from(chunk)),
    { objectMode: false },
  )
}

/** A core in memory, its stores, which outlive it, and everything that it told. */
export class MemoryUploads {
  readonly blobs: MemoryBlobStore = new MemoryBlobStore()
  readonly journals: MemoryJournalStore = new MemoryJournalStore()
  readonly clock: FakeClock = new FakeClock()
  readonly events: UploadEvent[] = []
  /** Epoch ms; moves only when a test moves it. */
  epochNow = 1_700_000_000_000

  /** Opens a core as a new process would. */
  open(options: Partial<UploadCoreOptions> = {}): Promise<UploadCore> {
    return UploadCore.open({
      blobs: this.blobs,
      journals: this.journals,
      clock: this.clock,
      now: () => this.epochNow,
      onEvent: (event) => this.events.push(event),
      ...options,
    })
  }

  /** What was told, as `type offset`. */
  get log(): string[] {
    return this.events.map(({ type, upload }) => `${type} ${upload.offset}`)
  }
}

/**
 * The book of uploads that are under way, for those who tell of them: how far each is, how fast, and
 * which are no longer sent. Knows them from events alone; time is given to it.
 */
import type { UploadEvent, UploadStatus } from 'ferry/receive'

/** One that is under way. */
export interface ShownUpload {
  readonly upload: UploadStatus
  readonly receivedBytes: number
  readonly bytesPerSecond: number
}

/** What has come of one. */
export interface Arrival {
  readonly bytes: number
  /** From its creation to its last bytes; undefined when that did not all happen before our eyes. */
  readonly elapsedMs: number | undefined
}

interface Entry {
  upload: UploadStatus
  readonly createdAt: number | undefined
  /** When its last bytes came. */
  movedAt: number
  /** How far it was when, oldest first, over the last seconds. */
  samples: readonly Sample[]
}

interface Sample {
  readonly at: number
  readonly bytes: number
}

// A client that sends in pieces makes pauses between them.
const PAUSE_MS = 10_000
const SPEED_WINDOW_MS = 5000
const SAMPLE_MS = 250
// While bytes come, a server says so each second; after that it counts that nothing came.
const NEWS_MS = 1500

/** The uploads of one server. Instants are ms on one clock. */
export class UploadBook {
  readonly #entries = new Map<string, Entry>()
  #arrived = 0
  #arrivedBytes = 0

  /** Files that have arrived, and their bytes. */
  get arrived(): { readonly count: number; readonly bytes: number } {
    return { count: this.#arrived, bytes: this.#arrivedBytes }
  }

  /** @returns for `completed`, what has come of it */
  note({ type, upload }: UploadEvent, now: number): Arrival | undefined {
    if (isTold(upload) && (type === 'created' || type === 'progress')) {
      this.#move(upload, now, type === 'created')
      return undefined
    }
    const entry = this.#entries.get(upload.id)
    this.#entries.delete(upload.id)
    if (type !== 'completed') return undefined
    const bytes = receivedBytesOf(upload)
    this.#arrived++
    this.#arrivedBytes += bytes
    const { createdAt } = entry ?? {}
    const elapsedMs = createdAt === undefined ? undefined : (entry?.movedAt ?? now) - createdAt
    return { bytes, elapsedMs }
  }

  /** Those that are being sent, oldest first. */
  running(now: number): ShownUpload[] {
    return [...this.#entries.values()].map((entry) => ({
      upload: entry.upload,
      receivedBytes: receivedBytesOf(entry.upload),
      bytesPerSecond: speedOf(entry.samples, now),
    }))
  }

  /** Takes out those to which nothing has come for a while, and gives them. */
  takePaused(now: number): UploadStatus[] {
    const paused = [...this.#entries.values()].filter(({ movedAt }) => now - movedAt > PAUSE_MS)
    for (const { upload } of paused) this.#entries.delete(upload.id)
    return paused.map(({ upload }) => upload)
  }

  #move(upload: UploadStatus, now: number, isNew: boolean): void {
    const known = this.#entries.get(upload.id)
    const sample = { at: now, bytes: receivedBytesOf(upload) }
    if (known === undefined) {
      const createdAt = isNew ? now : undefined
      this.#entries.set(upload.id, { upload, createdAt, movedAt: now, samples: [sample] })
      return
    }
    known.upload = upload
    known.movedAt = now
    known.samples = withSample(recent(known.samples, now), sample)
  }
}

/** Bytes that are safe, wherever they stand. */
export function receivedBytesOf({ state, length, spans }: UploadStatus): number {
  if (state === 'completed' && length !== undefined) return length
  return spans.reduce((sum, { start, end }) => sum + end - start, 0)
}

/** Whether IndexedCP keeps it for itself: a chunk before its time, without a name until it has its place. */
export function isInner({ id, name, door }: UploadStatus): boolean {
  return door === 'indexedcp' && name === id
}

/** Whether people should hear of it: not of a part that is there and waits for the others. */
export function isTold(upload: UploadStatus): boolean {
  const { finish, offset, length } = upload
  return !isInner(upload) && !(finish === 'as-part' && offset === length)
}

/** The samples of the last seconds, and the one before them, from which the first interval counts. */
function recent(samples: readonly Sample[], now: number): readonly Sample[] {
  const first = samples.findIndex(({ at }) => now - at < SPEED_WINDOW_MS)
  return first === -1 ? samples.slice(-1) : samples.slice(Math.max(0, first - 1))
}

/** Adds a sample; small pieces come often, and do not each need their own. */
function withSample(samples: readonly Sample[], sample: Sample): readonly Sample[] {
  const before = samples.at(-2)
  const isSoon = before !== undefined && sample.at - before.at < SAMPLE_MS
  return [...(isSoon ? samples.slice(0, -1) : samples), sample]
}

function speedOf(samples: readonly Sample[], now: number): number {
  const [first] = recent(samples, now)
  const last = samples.at(-1)
  if (first === undefined || last === undefined || first === last) return 0
  const end = now - last.at < NEWS_MS ? last.at : now
  return ((last.bytes - first.bytes) * 1000) / (end - first.at)
}

/** The options of an upload core, their defaults, and what is told of an upload. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { systemClock, type Clock } from '../clock.ts'
import type { Span } from '../transfer/span.ts'
import type { BlobStore } from './blob-store.ts'
import type { Digest, DigestAlgorithm } from './digest.ts'
import type { CollisionPolicy } from './final-name.ts'
import type { JournalStore } from './journal-store.ts'
import type { FinishRule } from './upload-record.ts'

/**
 * What an acknowledged byte survives: `durable` a power cut, `written` the end of the process,
 * `memory` nothing. An upload is never finished with less than `durable`.
 */
export type AckLevel = 'durable' | 'written' | 'memory'

/** What a core may take. */
export interface UploadLimits {
  /** Of one upload. @defaultValue none */
  readonly maxUploadBytes?: number
  /** Unfinished ones. @defaultValue 10,000 */
  readonly maxUploads?: number
  /** Unfinished ones of an owner. @defaultValue none */
  readonly maxUploadsPerOwner?: number
  /** In unfinished uploads of an owner. @defaultValue none */
  readonly maxBytesPerOwner?: number
  /** What stays free on the disk. @defaultValue 64 MiB */
  readonly reserveBytes?: number
  /** How long a sender may send nothing, or less than the minimum rate. @defaultValue 30,000 ms */
  readonly idleTimeoutMs?: number
  /** Over `idleTimeoutMs`. @defaultValue 0 */
  readonly minBytesPerSecond?: number
}

/** What an upload core is made with. */
export interface UploadCoreOptions {
  readonly blobs: BlobStore
  readonly journals: JournalStore
  /** @defaultValue durable */
  readonly ack?: AckLevel
  /** @defaultValue rename */
  readonly collision?: CollisionPolicy
  readonly limits?: UploadLimits
  /** How long an unfinished upload is kept after its last bytes. @defaultValue a week */
  readonly expiresInMs?: number
  /**
   * The same of an upload that is only a part of another one, unless it says otherwise itself.
   * @defaultValue that of every upload
   */
  readonly partsExpireInMs?: number
  /**
   * How long a finished upload is remembered, while its file stays, and how long at most the parts
   * are kept that it was put together from. @defaultValue a day
   */
  readonly keepCompletedMs?: number
  /** How often it is looked for what has expired. @defaultValue 60,000 ms */
  readonly sweepIntervalMs?: number
  /** How often what comes is committed before its end has come. @defaultValue 1,000 ms */
  readonly checkpointMs?: number
  /** How long the journal of one upload may grow before a shorter one takes its place. @defaultValue 256 KiB */
  readonly maxJournalBytes?: number
  /**
   * Told of everything that happens, from what a start brings to its end on. That an upload is
   * finished it is told at least once, also when the process ends in between: again and again until
   * it returns, or the promise that it returns resolves. A promise that rejects ends nothing else.
   */
  readonly onEvent?: UploadOutbox
  readonly clock?: Clock
  /** Epoch ms. @defaultValue Date.now */
  readonly now?: () => number
  /** 32 hexadecimal digits that nobody can guess. @defaultValue random */
  readonly createId?: () => string
  /** Tells this start of the system from others. @defaultValue Linux's boot id, elsewhere none */
  readonly boot?: string
}

/** An upload to be created. */
export interface CreateUpload {
  /** Bytes of the whole; undefined when not known yet. */
  readonly length?: number | undefined
  /** The wanted name of the finished file, folders included; made safe. @defaultValue the id */
  readonly name?: string | undefined
  /** What the client tells of the file. */
  readonly metadata?: Readonly<Record<string, string>>
  /** What the door has to remember of it, apart from what clients can set. */
  readonly notes?: Readonly<Record<string, string>>
  readonly owner?: string | undefined
  readonly door?: string | undefined
  /** Of the whole. */
  readonly digest?: Digest | undefined
  /** Its status is to tell a digest of the finished file, by this algorithm unless it has one. */
  readonly wantDigest?: DigestAlgorithm | undefined
  readonly expiresInMs?: number | undefined
  /** @defaultValue when-full */
  readonly finish?: FinishRule
}

/** How bytes are written. */
export interface WriteOptions {
  /** How many will come, where that is known: what cannot fit is refused before it comes. */
  readonly contentLength?: number | undefined
  /** Of these bytes: nothing of them counts unless it is right. */
  readonly digest?: Digest | undefined
  /** The whole ends where these bytes end, and is to be finished. */
  readonly final?: boolean
  /** They count all together or not at all, and where they end is remembered: see `pieceEnds`. */
  readonly piece?: boolean
  /** What has come before an abort is kept. */
  readonly signal?: AbortSignal | undefined
}

/** What is known of an upload; a value that does not change. */
export interface UploadStatus {
  readonly id: string
  readonly state: 'unfinished' | 'completed'
  /** How far acknowledged bytes go without a gap. */
  readonly offset: number
  /** All acknowledged bytes. */
  readonly spans: readonly Span[]
  readonly length: number | undefined
  /** What the digest of the whole has to be; of a finished one, what it was found to be. */
  readonly digest?: Digest | undefined
  /** The wanted name; once finished, the one that the file has. */
  readonly name: string
  /** What the client has told of the file. */
  readonly metadata: Readonly<Record<string, string>>
  /** What its door remembers of it. */
  readonly notes: Readonly<Record<string, string>>
  /** When it is finished. */
  readonly finish: FinishRule
  readonly owner: string | undefined
  readonly door: string | undefined
  /** Epoch ms. */
  readonly createdAt: number
  /** Epoch ms; undefined once finished. */
  readonly expiresAt: number | undefined
  /** Whether bytes are coming in now. */
  readonly isReceiving: boolean
}

/** What happens to an upload, in the order in which it happens. */
export interface UploadEvent {
  /** Stays the same when an event is told again. */
  readonly id: string
  readonly type: 'created' | 'progress' | 'completed' | 'terminated' | 'expired'
  readonly upload: UploadStatus
}

export type UploadListener = (event: UploadEvent) => void

/** Hears what happens; when it returns a promise, it has heard when that resolves. */
export type UploadOutbox = (event: UploadEvent) => unknown

/** What a start has found that it cannot use, and left alone. */
export interface UploadProblem {
  readonly type: 'unreadable-journal' | 'lost-bytes' | 'stray-blob' | 'stray-file' | 'unfinishable'
  /** The id of the upload, or the name of the file. */
  readonly name: string
  readonly cause?: unknown
}

/** The options with every default in its place. */
export type CoreSettings = Required<Omit<UploadCoreOptions, 'limits' | 'onEvent'>> & {
  readonly limits: Required<Omit<UploadLimits, 'maxUploadsPerOwner' | 'maxBytesPerOwner'>> & {
    readonly maxUploadsPerOwner: number | undefined
    readonly maxBytesPerOwner: number | undefined
  }
}

const DAY_MS = 86_400_000
const ID_BYTES = 16

export function fillDefaults(options: UploadCoreOptions): CoreSettings {
  const { limits = {} } = options
  return {
    blobs: options.blobs,
    journals: options.journals,
    ack: options.ack ?? 'durable',
    collision: options.collision ?? 'rename',
    expiresInMs: options.expiresInMs ?? 7 * DAY_MS,
    partsExpireInMs: options.partsExpireInMs ?? options.expiresInMs ?? 7 * DAY_MS,
    keepCompletedMs: options.keepCompletedMs ?? DAY_MS,
    sweepIntervalMs: options.sweepIntervalMs ?? 60_000,
    checkpointMs: options.checkpointMs ?? 1000,
    maxJournalBytes: options.maxJournalBytes ?? 262_144,
    clock: options.clock ?? systemClock,
    now: options.now ?? Date.now,
    createId: options.createId ?? (() => randomBytes(ID_BYTES).toString('hex')),
    boot: options.boot ?? readBootId(),
    limits: {
      maxUploadBytes: limits.maxUploadBytes ?? Number.MAX_SAFE_INTEGER,
      maxUploads: limits.maxUploads ?? 10_000,
      maxUploadsPerOwner: limits.maxUploadsPerOwner,
      maxBytesPerOwner: limits.maxBytesPerOwner,
      reserveBytes: limits.reserveBytes ?? 67_108_864,
      idleTimeoutMs: limits.idleTimeoutMs ?? 30_000,
      minBytesPerSecond: limits.minBytesPerSecond ?? 0,
    },
  }
}

function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  } catch {
    return ''
  }
}

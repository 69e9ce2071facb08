/**
 * What is known of an upload, and the records of a journal that tell it. Pure: records in, facts out,
 * the same way while an upload runs and when a start reads it again.
 */
import { type Span, SpanSet } from '../transfer/span.ts'
import { type Digest, type DigestAlgorithm, isDigest, isDigestAlgorithm } from './digest.ts'

/** The version of the format; another one is not read. */
const FORMAT = 1

/**
 * When an upload is finished: as soon as every byte is there, not before its client says so, or never,
 * since it is only a part of what will be put together.
 */
export type FinishRule = (typeof FINISH_RULES)[number]

const FINISH_RULES = ['when-full', 'when-told', 'as-part'] as const

/** What is settled when an upload is created. */
export interface UploadHeader {
  readonly id: string
  /** Epoch ms. */
  readonly createdAt: number
  /** The final name that is wanted; safe. */
  readonly name: string
  readonly finish: FinishRule
  /** How long it is kept after the last bytes came, in ms. */
  readonly expiresInMs: number
  /** What the client told of the file; for doors and listeners. */
  readonly metadata: Readonly<Record<string, string>>
  /** What its door remembers of it; nothing of it comes from the client as it is. */
  readonly notes?: Readonly<Record<string, string>>
  /** Whose it is, as the door names its users. */
  readonly owner?: string
  /** Which door it came in by. */
  readonly door?: string
  /** Bytes of the whole. */
  readonly length?: number
  /** Of the whole. */
  readonly digest?: Digest
  /** The digest of the whole is to be told when it is finished, by this algorithm. */
  readonly wantDigest?: DigestAlgorithm
  /** Ids of the uploads that it is put together from; it cannot be gone on with after a crash. */
  readonly parts?: readonly string[]
}

/** One line of a journal behind the header. */
export type UploadRecord =
  /**
   * Bytes that are there from now on; `at` in epoch ms. With `boot`, they were not synced, and are
   * believed only as long as the system has not been started again.
   */
  | {
      readonly type: 'spans'
      readonly spans: SpanPairs
      readonly at: number
      readonly boot?: string
    }
  | { readonly type: 'length'; readonly length: number }
  | { readonly type: 'digest'; readonly digest: Digest }
  /** Bytes that belong together; what was told before of places behind its start was lost. */
  | { readonly type: 'piece'; readonly start: number; readonly end: number }
  /** Where all pieces so far end, in their order. */
  | { readonly type: 'pieces'; readonly ends: readonly number[] }
  /** Its bytes are seen under this final name, although it is not finished. */
  | { readonly type: 'exposed'; readonly name: string }
  /** The client has said that nothing more comes. */
  | { readonly type: 'told' }
  /** It may have this final name from now on. */
  | { readonly type: 'publishing'; readonly name: string }
  | { readonly type: 'completed'; readonly name: string; readonly at: number }
  /** Whoever has to know has heard that it is finished. */
  | { readonly type: 'announced' }
  /** It was put together with others to a new one. */
  | { readonly type: 'used'; readonly at: number }
  /** Acknowledged bytes of it may be gone: the disk has failed. */
  | { readonly type: 'lost' }
  /** It is being removed. */
  | { readonly type: 'removed' }

type SpanPairs = readonly (readonly [start: number, end: number])[]

/** What the journal tells of an upload. */
export interface UploadFacts {
  readonly header: UploadHeader
  /** Bytes that are there for good. */
  readonly spans: SpanSet
  /** Those of them that a power cut would take, or a disk that fails to sync. */
  readonly unsynced: SpanSet
  length: number | undefined
  digest: Digest | undefined
  isTold: boolean
  /** Where pieces end, one behind the other. */
  pieceEnds: number[]
  /** The final name under which it is seen already. */
  exposedAs: string | undefined
  publishingAs: string | undefined
  /** The final name, and when it got it (epoch ms). */
  completed: { readonly name: string; readonly at: number } | undefined
  isAnnounced: boolean
  /** It has become a part of another one. */
  isUsed: boolean
  isLost: boolean
  isRemoved: boolean
  /** When the last bytes came, or it was used, epoch ms. */
  activeAt: number
}

/** The first record of a journal. */
export function formatHeader(header: UploadHeader): object {
  return { type: 'upload', format: FORMAT, ...header }
}

/** What is known of an upload that was just created. */
export function createFacts(header: UploadHeader): UploadFacts {
  return {
    header,
    spans: new SpanSet(),
    unsynced: new SpanSet(),
    length: header.length,
    digest: header.digest,
    isTold: false,
    pieceEnds: [],
    exposedAs: undefined,
    publishingAs: undefined,
    completed: undefined,
    isAnnounced: false,
    isUsed: false,
    isLost: false,
    isRemoved: false,
    activeAt: header.createdAt,
  }
}

/** Makes the facts what they are after a record. */
export function applyRecord(facts: UploadFacts, record: UploadRecord): void {
  switch (record.type) {
    case 'spans':
      for (const [start, end] of record.spans) {
        facts.spans.add({ start, end })
        if (record.boot !== undefined) facts.unsynced.add({ start, end })
      }
      facts.activeAt = record.at
      return
    case 'length':
      facts.length = record.length
      return
    case 'digest':
      facts.digest = record.digest
      return
    case 'piece':
      while ((facts.pieceEnds.at(-1) ?? 0) > record.start) facts.pieceEnds.pop()
      facts.pieceEnds.push(record.end)
      return
    case 'pieces':
      facts.pieceEnds = [...record.ends]
      return
    case 'exposed':
      facts.exposedAs = record.name
      return
    case 'told':
      facts.isTold = true
      return
    case 'publishing':
      facts.publishingAs = record.name
      return
    case 'completed':
      facts.completed = { name: record.name, at: record.at }
      return
    case 'announced':
      facts.isAnnounced = true
      return
    case 'used':
      facts.isUsed = true
      facts.activeAt = record.at
      return
    case 'lost':
      facts.isLost = true
      return
    case 'removed':
      facts.isRemoved = true
      return
    default:
      record satisfies never
  }
}

/**
 * Reads the records of a journal; undefined when they tell of no upload, or one of another format.
 * @param boot tells this start of the system from others
 */
export function parseUpload(records: readonly unknown[], boot: string): UploadFacts | undefined {
  const [first, ...rest] = records
  const header = parseHeader(first)
  if (header === undefined) return undefined
  const facts = createFacts(header)
  for (const record of rest) {
    const known = parseRecord(record)
    // What we cannot read may matter, so that nothing is guessed.
    if (known === undefined) return undefined
    const isLost = known.type === 'spans' && known.boot !== undefined && known.boot !== boot
    if (!isLost) applyRecord(facts, known)
  }
  return facts
}

/** How far the bytes go without a gap. */
export function offsetOf({ spans }: UploadFacts): number {
  return spans.endFrom(0)
}

/** Where the last byte that counts ends. */
export function extentOf({ spans, length = Number.POSITIVE_INFINITY }: UploadFacts): number {
  const [beyond] = spans.gapsWithin({ start: 0, end: Number.POSITIVE_INFINITY }).slice(-1)
  return Math.min(beyond?.start ?? 0, length)
}

/** Whether every byte of a known length is there. */
export function isFull({ spans, length }: UploadFacts): boolean {
  return length !== undefined && spans.covers({ start: 0, end: length })
}

/** Whether nothing is missing for it to be finished. */
export function isDue(facts: UploadFacts): boolean {
  const { completed, header, isLost, isRemoved, isTold } = facts
  if (completed !== undefined || isLost || isRemoved || !isFull(facts)) return false
  return header.finish === 'when-full' || (header.finish === 'when-told' && isTold)
}

function parseHeader(record: unknown): UploadHeader | undefined {
  if (!isObject(record) || record['type'] !== 'upload' || record['format'] !== FORMAT) {
    return undefined
  }
  const { type: _, format: __, ...header } = record
  const usable =
    typeof header['id'] === 'string' &&
    typeof header['name'] === 'string' &&
    isOffset(header['createdAt']) &&
    isOffset(header['expiresInMs']) &&
    (FINISH_RULES as readonly unknown[]).includes(header['finish']) &&
    isObject(header['metadata']) &&
    (header['notes'] === undefined || isObject(header['notes'])) &&
    (header['length'] === undefined || isOffset(header['length'])) &&
    (header['digest'] === undefined || isDigest(header['digest'])) &&
    (header['wantDigest'] === undefined || isDigestAlgorithm(header['wantDigest']))
  return usable ? (header as unknown as UploadHeader) : undefined
}

function parseRecord(record: unknown): UploadRecord | undefined {
  if (!isObject(record)) return undefined
  return isUsable(record) ? (record as unknown as UploadRecord) : undefined
}

function isUsable(record: Record<string, unknown>): boolean {
  switch (record['type'] as UploadRecord['type']) {
    case 'spans':
      return (
        isOffset(record['at']) &&
        Array.isArray(record['spans']) &&
        record['spans'].every(isPair) &&
        (record['boot'] === undefined || typeof record['boot'] === 'string')
      )
    case 'length':
      return isOffset(record['length'])
    case 'digest':
      return isDigest(record['digest'])
    case 'piece':
      return isOffset(record['start']) && isOffset(record['end'])
    case 'pieces':
      return Array.isArray(record['ends']) && record['ends'].every(isOffset)
    case 'publishing':
    case 'exposed':
      return typeof record['name'] === 'string'
    case 'completed':
      return typeof record['name'] === 'string' && isOffset(record['at'])
    case 'used':
      return isOffset(record['at'])
    case 'told':
    case 'announced':
    case 'lost':
    case 'removed':
      return true
    default:
      return false
  }
}

function isPair(pair: unknown): boolean {
  return Array.isArray(pair) && pair.length === 2 && pair.every(isOffset)
}

function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** The spans of a record. */
export function toPairs(spans: Iterable<Span>): SpanPairs {
  return [...spans].map(({ start, end }) => [start, end])
}

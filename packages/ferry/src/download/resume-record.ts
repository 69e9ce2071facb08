/**
 * What is needed to go on with a download, and the journal that keeps it beside the partial file.
 *
 * A header says which version of the file this is; each further line adds spans that are in the file
 * and synced, or takes back what has turned out to be wrong. Lines are only ever appended, so a crash can cut the last one but not change another.
 * Never holds a byte range that the disk might not have, nor a secret: of a URL's query it keeps a
 * salted digest.
 */
import { type FileHandle, open, readFile, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileError, syncFolder } from '../transfer/files.ts'
import { formatRecord, parseRecords } from '../transfer/record-log.ts'
import { type Span, SpanSet } from '../transfer/span.ts'
import type { Identity } from './identity.ts'
import type { Source } from './source.ts'

/** What a journal tells. */
export interface ResumeRecord {
  /** Where the bytes are from. */
  readonly source: Source
  readonly identity: Identity
  /** Bytes that are in the partial file. */
  readonly spans: SpanSet
}

/** The version of the format; another one is not read. */
const FORMAT = 2

/** Reads a journal; undefined when there is none, or none that can be used. */
export async function loadResumeRecord(path: string): Promise<ResumeRecord | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw fileError(`Cannot read ${path}`, cause)
  }
  return parseResumeRecord(text)
}

/** Reads the text of a journal. */
export function parseResumeRecord(text: string): ResumeRecord | undefined {
  const [header, ...rest] = parseRecords(text)
  const known = parseHeader(header)
  if (known === undefined) return undefined
  const size = known.identity.size ?? 0
  const spans = new SpanSet()
  for (const record of rest) {
    for (const span of parseSpans(record, 'spans')) if (span.end <= size) spans.add(span)
    for (const span of parseSpans(record, 'removed')) spans.remove(span)
  }
  return { ...known, spans }
}

/** An open journal. */
export class Journal {
  readonly #path: string
  readonly #handle: FileHandle
  readonly #journaled: SpanSet

  private constructor(path: string, handle: FileHandle, spans: SpanSet) {
    this.#path = path
    this.#handle = handle
    this.#journaled = spans
  }

  /** Replaces whatever was there, in one step that a crash cannot halve. */
  static async create(path: string, record: ResumeRecord): Promise<Journal> {
    const fresh = `${path}.new`
    const spans = record.spans.copy()
    const { source, identity } = record
    const header = { type: 'download', format: FORMAT, ...source, ...identity }
    let handle: FileHandle | undefined
    try {
      await unlink(fresh).catch(() => {})
      handle = await open(fresh, 'wx', 0o600)
      await handle.write(formatRecord(header))
      if (spans.count > 0) await handle.write(formatRecord({ type: 'spans', spans }))
      await handle.datasync()
      await rename(fresh, path)
      await syncFolder(dirname(path))
      return new Journal(path, handle, spans)
    } catch (cause) {
      await handle?.close()
      throw fileError(`Cannot write ${path}`, cause)
    }
  }

  /** Notes what is in the file by now; the caller has synced it. */
  async append(spans: SpanSet): Promise<void> {
    const added = [...spans].flatMap((span) => this.#journaled.gapsWithin(span))
    if (added.length === 0) return
    await this.#write({ type: 'spans', spans: added.map(({ start, end }) => [start, end]) })
    for (const span of added) this.#journaled.add(span)
  }

  /** Notes that a span has turned out to be wrong. */
  async remove(span: Span): Promise<void> {
    await this.#write({ type: 'removed', spans: [[span.start, span.end]] })
    this.#journaled.remove(span)
  }

  async #write(record: object): Promise<void> {
    try {
      await this.#handle.write(formatRecord(record))
    } catch (cause) {
      throw fileError(`Cannot write ${this.#path}`, cause)
    }
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}

/** Removes a journal, a half-made one too; none is no error. */
export async function removeJournal(path: string): Promise<void> {
  await unlink(path).catch(() => {})
  await unlink(`${path}.new`).catch(() => {})
}

function parseHeader(record: unknown): Omit<ResumeRecord, 'spans'> | undefined {
  if (!isObject(record) || record['type'] !== 'download' || record['format'] !== FORMAT) {
    return undefined
  }
  const { url, size } = record
  if (typeof url !== 'string') return undefined
  return {
    source: { url, ...pickTexts(record, ['salt', 'queryDigest']) },
    identity: {
      ...(typeof size === 'number' ? { size } : {}),
      ...pickTexts(record, ['etag', 'weakEtag', 'lastModified']),
    },
  }
}

function pickTexts<Name extends string>(
  record: Record<string, unknown>,
  names: readonly Name[],
): Partial<Record<Name, string>> {
  const texts: Partial<Record<Name, string>> = {}
  for (const name of names) {
    const value = record[name]
    if (typeof value === 'string') texts[name] = value
  }
  return texts
}

function parseSpans(record: unknown, type: 'spans' | 'removed'): Span[] {
  if (!isObject(record) || record['type'] !== type || !Array.isArray(record['spans'])) return []
  return record['spans'].flatMap((pair: unknown) => {
    if (!Array.isArray(pair)) return []
    const [start, end] = pair as unknown[]
    const usable = Number.isSafeInteger(start) && Number.isSafeInteger(end) && Number(start) >= 0
    return usable ? [{ start: Number(start), end: Number(end) }] : []
  })
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/**
 * What a start makes of the uploads that an earlier process has left, however it ended: goes back to
 * the last record of each, brings to an end what was begun, leaves alone what it does not understand.
 */
import { FerryError } from '../errors.ts'
import type { CoreContext } from './core-context.ts'
import { finishUpload, noteCompletion } from './finish-upload.ts'
import { UploadEntry } from './upload-entry.ts'
import { recoverActivity } from './upload-lifetime.ts'
import type { UploadProblem } from './upload-options.ts'
import { extentOf, isDue, parseUpload, type UploadFacts } from './upload-record.ts'

/** What a start has found. */
export interface RecoveredUploads {
  readonly entries: UploadEntry[]
  readonly problems: UploadProblem[]
}

// A disk does several things at once, and a process may have only so many files open.
const AT_ONCE = 16

/** Reads every upload of the stores; nothing else may use them meanwhile. */
export async function recoverUploads(context: CoreContext): Promise<RecoveredUploads> {
  const { blobs, journals, boot } = context.settings
  const { lengths, strangers } = await blobs.recover()
  const entries: UploadEntry[] = []
  const problems: UploadProblem[] = strangers.map((name) => ({ type: 'stray-file', name }))
  const ids = await journals.list()
  const recover = async (id: string): Promise<void> => {
    const facts = parseUpload(await journals.recover(id), boot)
    if (facts?.header.id !== id) problems.push({ type: 'unreadable-journal', name: id })
    else if (facts.isRemoved || isCutShort(facts)) await removeUpload(context, id)
    else await recoverUpload(context, { facts, length: lengths.get(id), entries, problems })
  }
  await forEach(ids, async (id) => {
    try {
      await recover(id)
    } catch (cause) {
      // A bad sector in one of them must not keep all the others from being reached.
      if (!(cause instanceof FerryError)) throw cause
      problems.push({ type: 'unreadable-journal', name: id, cause })
    }
  })
  const journaled = new Set(ids)
  for (const id of lengths.keys()) {
    if (!journaled.has(id)) problems.push({ type: 'stray-blob', name: id })
  }
  entries.sort((one, other) => one.facts.header.createdAt - other.facts.header.createdAt)
  announceAll(context, entries)
  return { entries, problems }
}

/** A few at once. After a failure nothing new is begun; it is thrown when all has come to its end. */
async function forEach(ids: readonly string[], work: (id: string) => Promise<void>): Promise<void> {
  const rest = ids.toReversed()
  const lane = async (): Promise<void> => {
    for (let id = rest.pop(); id !== undefined; id = rest.pop()) {
      await work(id).catch((error: unknown) => {
        rest.length = 0
        throw error
      })
    }
  }
  const lanes = await Promise.allSettled(Array.from({ length: AT_ONCE }, lane))
  for (const ended of lanes) if (ended.status === 'rejected') throw ended.reason
}

/** Tells of uploads that they are finished, where an earlier process has not come to that. */
function announceAll(context: CoreContext, entries: readonly UploadEntry[]): void {
  const completedAt = ({ facts }: UploadEntry): number => facts.completed?.at ?? 0
  const owed = entries.filter((entry) => context.owesNews(entry))
  for (const entry of owed.toSorted((one, other) => completedAt(one) - completedAt(other))) {
    void context.announce(entry)
  }
}

/** Removes what is kept of an upload; a crash in between leaves a journal that says so. */
export async function removeUpload(context: CoreContext, id: string): Promise<void> {
  const { blobs, journals } = context.settings
  await blobs.remove(id)
  await journals.remove(id)
}

/** Nobody has heard of an upload whose parts were still being put together. */
function isCutShort(facts: UploadFacts): boolean {
  return facts.header.parts !== undefined && facts.completed === undefined && !isDue(facts)
}

async function recoverUpload(
  context: CoreContext,
  found: {
    readonly facts: UploadFacts
    readonly length: number | undefined
    readonly entries: UploadEntry[]
    readonly problems: UploadProblem[]
  },
): Promise<void> {
  const { facts, length, entries, problems } = found
  const since = facts.completed?.at ?? facts.activeAt
  const entry = new UploadEntry(facts, recoverActivity(since, context.time()))
  if (facts.completed !== undefined) {
    entries.push(entry)
    return
  }
  if (facts.isLost) {
    problems.push({ type: 'lost-bytes', name: entry.id })
    entries.push(entry)
    context.usage.reopen(entry.owner, entry.bytes)
    return
  }
  const isPublished = await bringToName(context, facts, length)
  if (!isPublished && (length ?? 0) < extentOf(facts)) {
    problems.push({ type: 'lost-bytes', name: entry.id })
    return
  }
  entries.push(entry)
  context.usage.reopen(entry.owner, entry.bytes)
  try {
    if (isPublished) {
      entry.publishedAs = facts.publishingAs
      await noteCompletion(context, entry)
    } else {
      await restoreBlob(context, facts, length)
      if (isDue(facts)) await finishUpload(context, entry)
    }
  } catch (cause) {
    problems.push({ type: 'unfinishable', name: entry.id, cause })
  }
}

/** Ends what a crash cut short while the file was given its name; tells whether it has it. */
async function bringToName(
  context: CoreContext,
  facts: UploadFacts,
  length: number | undefined,
): Promise<boolean> {
  const { blobs } = context.settings
  const { publishingAs } = facts
  if (publishingAs === undefined) return false
  if (length === undefined) return true
  const { id } = facts.header
  if (!(await blobs.isPublishedAs(id, publishingAs))) return false
  await blobs.publish(id, publishingAs, { overwrite: false })
  return true
}

/** Makes the blob hold what the journal tells, and nothing behind it. */
async function restoreBlob(
  context: CoreContext,
  facts: UploadFacts,
  length: number | undefined,
): Promise<void> {
  const { id } = facts.header
  const extent = extentOf(facts)
  if (length === undefined) context.blobs.adopt(id, await context.settings.blobs.create(id))
  else if (length > extent) await context.blobs.use(id, (blob) => blob.truncate(extent))
}

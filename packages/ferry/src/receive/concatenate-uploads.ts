/**
 * Puts whole uploads together to a new one: the first by a copy that the system makes, the others
 * behind it in large blocks. Until all is there and journaled, a crash leaves nothing of the new one.
 */
import { TransferError } from '../errors.ts'
import type { UploadBlob } from './blob-store.ts'
import type { CoreContext } from './core-context.ts'
import { createEntry } from './create-entry.ts'
import { removeUpload } from './recover-uploads.ts'
import { decideComplete } from './upload-decisions.ts'
import type { UploadEntry } from './upload-entry.ts'
import type { CreateUpload } from './upload-options.ts'

// Two of them are in memory at a time: one is read while the other is written.
const COPY_BYTES = 4_194_304

/**
 * Resolves with an upload that has every byte of its parts and is to be finished.
 * @throws {UploadError} upload-incomplete, and as `createEntry` does
 */
export async function concatenateUploads(
  context: CoreContext,
  options: {
    readonly parts: readonly UploadEntry[]
    readonly upload: CreateUpload
    readonly signal: AbortSignal | undefined
  },
): Promise<UploadEntry> {
  const { parts, upload, signal } = options
  const lengths = parts.map(lengthOf)
  const length = lengths.reduce((sum, bytes) => sum + bytes, 0)
  const ids = parts.map(({ id }) => id)
  const entry = await createEntry(context, { ...upload, length, finish: 'when-full' }, ids)
  for (const part of parts) part.borrowers++
  try {
    await fillFrom(context, { entry, parts, signal })
    entry.written.add({ start: 0, end: length })
    await context.commit(entry)
  } catch (error) {
    context.usage.close(entry.owner, entry.bytes)
    context.retire(entry.id)
    await removeUpload(context, entry.id)
    throw error
  } finally {
    for (const part of parts) part.borrowers--
  }
  return entry
}

/** Notes of parts that they were put together: they are kept no longer than what is finished. */
export async function noteUse(context: CoreContext, parts: readonly UploadEntry[]): Promise<void> {
  const at = context.settings.now()
  const noted = [...new Set(parts)].map(async (part) => {
    await context.note(part, [{ type: 'used', at }])
    context.touch(part)
  })
  // A part that stays unnoted is kept longer, and nothing else.
  await Promise.allSettled(noted)
}

/** A finished upload has no bytes left that could be copied. */
function lengthOf({ facts }: UploadEntry): number {
  const missing = decideComplete(facts)
  if (missing !== undefined) throw missing
  return facts.length as number
}

async function fillFrom(
  context: CoreContext,
  copy: {
    readonly entry: UploadEntry
    readonly parts: readonly UploadEntry[]
    readonly signal: AbortSignal | undefined
  },
): Promise<void> {
  const { entry, parts, signal } = copy
  const [first, ...others] = parts
  if (first === undefined) return
  await context.settings.blobs.copy(first.id, entry.id)
  await context.blobs.use(entry.id, async (blob) => {
    let offset = first.facts.length as number
    // Bytes behind its end that never counted are written over, or cut off at the end.
    context.noteStored(entry, { start: 0, end: offset })
    for (const part of others) {
      signal?.throwIfAborted()
      await context.blobs.use(part.id, (source) => append(source, { part, blob, offset, signal }))
      const end = offset + (part.facts.length as number)
      context.noteStored(entry, { start: offset, end })
      offset = end
    }
  })
}

async function append(
  source: UploadBlob,
  target: {
    readonly part: UploadEntry
    readonly blob: UploadBlob
    readonly offset: number
    readonly signal: AbortSignal | undefined
  },
): Promise<void> {
  const { part, blob, offset, signal } = target
  const length = part.facts.length as number
  const read = (at: number): Promise<Buffer> => source.read(at, Math.min(COPY_BYTES, length - at))
  let done = 0
  let next = await read(done)
  while (done < length) {
    signal?.throwIfAborted()
    const bytes = next
    if (bytes.length < Math.min(COPY_BYTES, length - done)) throw lostBytes(part.id, done)
    const writing = blob.write([bytes], offset + done)
    done += bytes.length
    // Both have ended before anybody closes the files.
    const [written, ahead] = await Promise.allSettled([writing, read(done)])
    if (written.status === 'rejected') throw written.reason
    if (ahead.status === 'rejected') throw ahead.reason
    next = ahead.value
  }
}

/** The error for bytes that were there and are no longer. */
function lostBytes(id: string, offset: number): TransferError {
  return new TransferError('disk-failed', `Cannot read upload ${id} at ${offset}: nothing is there`)
}

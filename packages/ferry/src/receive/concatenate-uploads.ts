/** Puts whole uploads together to a new one, by copying. */
import type { UploadBlob } from './blob-store.ts'
import type { CoreContext } from './core-context.ts'
import { createEntry } from './create-entry.ts'
import { lostBytes } from './finish-upload.ts'
import { removeUpload } from './recover-uploads.ts'
import { decideComplete } from './upload-decisions.ts'
import type { UploadEntry } from './upload-entry.ts'
import type { CreateUpload } from './upload-options.ts'

const COPY_BYTES = 1_048_576

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
  try {
    await context.blobs.use(entry.id, async (blob) => {
      let offset = 0
      for (const [index, part] of parts.entries()) {
        const bytes = lengths[index] as number
        await copyPart(context, { from: part.id, length: bytes, blob, offset, signal })
        offset += bytes
      }
    })
    entry.written.add({ start: 0, end: length })
    await context.commit(entry)
  } catch (error) {
    context.usage.close(entry.owner, entry.chargedBytes)
    context.retire(entry.id)
    await removeUpload(context, entry.id)
    throw error
  }
  return entry
}

/** A finished upload has no bytes left that could be copied. */
function lengthOf({ facts }: UploadEntry): number {
  const missing = decideComplete(facts)
  if (missing !== undefined) throw missing
  return facts.length as number
}

async function copyPart(
  context: CoreContext,
  part: {
    readonly from: string
    readonly length: number
    readonly blob: UploadBlob
    readonly offset: number
    readonly signal: AbortSignal | undefined
  },
): Promise<void> {
  const { from, length, blob, offset, signal } = part
  await context.blobs.use(from, async (source) => {
    for (let done = 0; done < length; done += COPY_BYTES) {
      signal?.throwIfAborted()
      const wanted = Math.min(COPY_BYTES, length - done)
      const bytes = await source.read(done, wanted)
      if (bytes.length < wanted) throw lostBytes(from, done + bytes.length)
      await blob.write([bytes], offset + done)
    }
  })
}

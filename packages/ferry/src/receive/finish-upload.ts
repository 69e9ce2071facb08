/**
 * Finishes an upload: proves that it is whole, then gives it its final name, in steps each of which a
 * crash may interrupt.
 *
 * Synced data → record `publishing` with the name → the name itself → record `completed`. A start
 * that finds the first record without the second looks which of the two names the file has.
 */
import { isFerryError } from '../errors.ts'
import { type CoreContext, lostUpload } from './core-context.ts'
import { compareHex } from './digest.ts'
import { findFreeName } from './final-name.ts'
import { decideComplete, decideFinish } from './upload-decisions.ts'
import type { UploadEntry } from './upload-entry.ts'
import { interrupted } from './upload-writer.ts'

/**
 * Resolves when the file is there for good under the name that its status tells. One at a time for an
 * upload; whoever asks meanwhile waits for the same.
 * @throws {UploadError} upload-is-part, upload-incomplete, upload-lost, digest-mismatch,
 *   upload-interrupted
 * @throws {TransferError} target-exists, by the policy `fail`
 */
export function finishUpload(context: CoreContext, entry: UploadEntry): Promise<void> {
  entry.finishing ??= finish(context, entry).finally(() => {
    entry.finishing = undefined
  })
  return entry.finishing
}

async function finish(context: CoreContext, entry: UploadEntry): Promise<void> {
  const { facts } = entry
  if (facts.completed !== undefined) return
  const refusal = decideFinish(facts)
  if (refusal !== undefined) throw refusal
  // From here on nobody begins to write; whoever has begun is ended.
  await endWrites(entry)
  if (facts.isLost) throw lostUpload(entry.id)
  if (entry.publishedAs === undefined) {
    const missing = decideComplete(facts)
    if (missing !== undefined) throw missing
    await checkWhole(context, entry)
    await seal(context, entry)
    await publish(context, entry)
  }
  await noteCompletion(context, entry)
}

/** Notes that the file has its final name, and tells. */
export async function noteCompletion(context: CoreContext, entry: UploadEntry): Promise<void> {
  const name = entry.publishedAs as string
  await context.note(entry, [{ type: 'completed', name, at: context.settings.now() }])
  context.usage.close(entry.owner, entry.bytes)
  context.touch(entry)
  context.emit('completed', entry)
  if (context.owesNews(entry)) void context.announce(entry)
  else context.retire(entry.id)
}

/** Waits for what has come to be committed, and not for those who wait for the finishing itself. */
async function endWrites({ id, writes }: UploadEntry): Promise<void> {
  for (const write of writes) write.stop(interrupted(id, 'replaced'))
  await Promise.all([...writes].map(({ committed }) => committed))
}

/** Has nothing but what counts in the blob, all of it synced. */
async function seal(context: CoreContext, entry: UploadEntry): Promise<void> {
  const { id, facts } = entry
  if (entry.isTidy && facts.unsynced.count === 0) return
  await context.blobs.use(id, async (blob) => {
    await context.truncate(entry, blob, facts.length as number)
    await context.sync(entry)
  })
}

async function publish(context: CoreContext, entry: UploadEntry): Promise<void> {
  if (entry.facts.exposedAs !== undefined) {
    await publishExposed(context, entry, entry.facts.exposedAs)
    return
  }
  const { blobs, collision } = context.settings
  const wanted = entry.facts.header.name
  for (;;) {
    const name =
      collision === 'rename' ? await findFreeName(wanted, (path) => blobs.isTaken(path)) : wanted
    await context.note(entry, [{ type: 'publishing', name }])
    try {
      await blobs.publish(entry.id, name, { overwrite: collision === 'overwrite' })
      entry.publishedAs = name
      return
    } catch (error) {
      // Somebody has taken the name since we looked.
      if (collision !== 'rename' || !isFerryError(error, 'target-exists')) throw error
    }
  }
}

/** It has its name already, unless somebody has taken the file away meanwhile. */
async function publishExposed(
  context: CoreContext,
  entry: UploadEntry,
  name: string,
): Promise<void> {
  const { blobs } = context.settings
  await context.note(entry, [{ type: 'publishing', name }])
  if (await blobs.isPublishedAs(entry.id, name)) {
    await blobs.publish(entry.id, name, { overwrite: false })
  } else await blobs.remove(entry.id)
  entry.publishedAs = name
}

/** Holds the whole against its digest; where it has none and one is wanted, notes that. */
async function checkWhole(context: CoreContext, entry: UploadEntry): Promise<void> {
  const { digest, header } = entry.facts
  const algorithm = digest?.algorithm ?? header.wantDigest
  if (algorithm === undefined) return
  const hex = await context.digests.finish(entry, algorithm)
  if (digest === undefined) {
    await context.note(entry, [{ type: 'digest', digest: { algorithm, hex } }])
    return
  }
  const wrong = compareHex(`upload ${entry.id}`, digest, hex)
  if (wrong !== undefined) throw wrong
}

/**
 * Shows an upload under its final name before it is finished, for clients that never say that they
 * are done. The name first, then the record: a start that finds the name without the record finds
 * the same name again.
 */
import { isFerryError } from '../errors.ts'
import type { CoreContext } from './core-context.ts'
import { findFreeName } from './final-name.ts'
import type { UploadEntry } from './upload-entry.ts'

/**
 * Resolves when the upload is seen under the name that its status tells, or cannot be. One at a time
 * for an upload; whoever asks meanwhile waits for the same.
 * @throws {TransferError} target-exists, by the policy `fail`
 */
export function exposeUpload(context: CoreContext, entry: UploadEntry): Promise<void> {
  const { exposedAs, completed } = entry.facts
  if (exposedAs !== undefined || completed !== undefined) return Promise.resolve()
  entry.exposing ??= expose(context, entry).finally(() => {
    entry.exposing = undefined
  })
  return entry.exposing
}

async function expose(context: CoreContext, entry: UploadEntry): Promise<void> {
  const { blobs, collision } = context.settings
  const { id } = entry
  const wanted = entry.facts.header.name
  const isOthers = async (name: string): Promise<boolean> =>
    (await blobs.isTaken(name)) && !(await blobs.isPublishedAs(id, name))
  for (;;) {
    const name = collision === 'rename' ? await findFreeName(wanted, isOthers) : wanted
    try {
      const isSeen =
        (await blobs.isPublishedAs(id, name)) ||
        (await blobs.expose(id, name, { overwrite: collision === 'overwrite' }))
      if (isSeen) await context.note(entry, [{ type: 'exposed', name }])
      return
    } catch (error) {
      // Somebody has taken the name since we looked.
      if (collision !== 'rename' || !isFerryError(error, 'target-exists')) throw error
    }
  }
}

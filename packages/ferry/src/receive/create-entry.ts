/** Makes a new upload in the stores, within the limits. */
import type { CoreContext } from './core-context.ts'
import { createDigestHash } from './digest.ts'
import { toFinalName } from './final-name.ts'
import { charge, checkRoom } from './receive-content.ts'
import { tooLarge } from './upload-decisions.ts'
import { UploadEntry } from './upload-entry.ts'
import type { CreateUpload } from './upload-options.ts'
import { createFacts, formatHeader, type UploadHeader } from './upload-record.ts'

/**
 * Resolves when the upload survives a power cut.
 * @param parts ids of the uploads that it is to be put together from
 * @throws {UploadError} upload-too-large, quota-exceeded, insufficient-storage, digest-unsupported
 */
export async function createEntry(
  context: CoreContext,
  upload: CreateUpload,
  parts?: readonly string[],
): Promise<UploadEntry> {
  const { blobs, journals, clock, limits } = context.settings
  const { length = 0, digest, owner } = upload
  if (length > limits.maxUploadBytes) throw tooLarge(length, limits.maxUploadBytes)
  if (digest !== undefined) createDigestHash(digest)
  const header = headerOf(context, upload, parts)
  const entry = new UploadEntry(createFacts(header), { at: clock.now() })
  entry.chargedBytes = 0
  // What it is put together from may have more behind its end.
  entry.isTidy = parts === undefined
  context.usage.open(owner)
  try {
    charge(context, entry, length)
    // What others have announced, and this one, has to find room as well.
    await checkRoom(context, context.usage.expectedBytes)
    using _turn = await context.making.take()
    // The journal first: a blob that no journal tells of would be nobody's.
    context.journals.adopt(header.id, await journals.create(header.id, formatHeader(header)))
    context.blobs.adopt(header.id, await blobs.create(header.id))
  } catch (error) {
    context.usage.close(owner, entry.bytes)
    context.retire(header.id)
    await journals.remove(header.id).catch(() => {})
    throw error
  }
  return entry
}

function headerOf(
  context: CoreContext,
  upload: CreateUpload,
  parts: readonly string[] | undefined,
): UploadHeader {
  const { createId, now, expiresInMs, partsExpireInMs } = context.settings
  const { length, owner, door, digest, wantDigest, notes, finish = 'when-full' } = upload
  const id = createId()
  return {
    id,
    createdAt: now(),
    name: toFinalName(upload.name ?? id) ?? id,
    finish,
    expiresInMs: upload.expiresInMs ?? (finish === 'as-part' ? partsExpireInMs : expiresInMs),
    metadata: upload.metadata ?? {},
    ...(notes === undefined ? {} : { notes }),
    ...(owner === undefined ? {} : { owner }),
    ...(door === undefined ? {} : { door }),
    ...(length === undefined ? {} : { length }),
    ...(digest === undefined ? {} : { digest }),
    ...(wantDigest === undefined ? {} : { wantDigest }),
    ...(parts === undefined ? {} : { parts }),
  }
}

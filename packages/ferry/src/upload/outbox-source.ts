/**
 * An item of the outbox as what is sent: its stored parts, or the file that it refers to. Whoever has
 * the lease renews it and, once all is delivered, calls its `done()`.
 */
import { FileSource } from './file-source.ts'
import type { OutboxLease } from './outbox.ts'
import { type StoredSourceOptions, StoredSource } from './stored-source.ts'
import type { UploadSource } from './upload-source.ts'

/**
 * Opens what a lease is for. Closing the source leaves the lease as it is.
 * @throws {TransferError} `source-changed` when the file is not the one that was added, or not there
 */
export async function openOutboxSource(
  lease: OutboxLease,
  options: StoredSourceOptions = {},
): Promise<UploadSource> {
  const { name, type, content } = lease.item
  if (content.mode === 'stored') return new StoredSource(lease, content, options)
  const { path, fingerprint, sha256 } = content
  return await FileSource.open(path, { name, type, fingerprint, sha256 })
}

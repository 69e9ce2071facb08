/** Sends one item of an outbox: keeps its lease, notes for the next run, and removes it once it is delivered. */
import { systemClock } from '../clock.ts'
import type { HttpUrl } from '../transport/http-url.ts'
import { keepLease } from './keep-lease.ts'
import type { OutboxLease } from './outbox.ts'
import { openOutboxSource } from './outbox-source.ts'
import { type Upload, upload } from './upload.ts'
import type { UploadOptions, UploadResult } from './upload-options.ts'
import type { UploadNote } from './upload-protocol.ts'

/** How an item is sent. */
export interface SendItemOptions extends Omit<UploadOptions, 'saved' | 'onNote' | 'name' | 'type'> {
  /**
   * Keeps what the server has acknowledged until all is delivered, so that it can be sent anew to a
   * server that has lost it. @defaultValue true
   */
  readonly keepAcknowledged?: boolean | undefined
  /** Told of the upload when it begins: to look at its progress, and to pause it. */
  readonly onStart?: ((upload: Upload) => void) | undefined
}

/**
 * Sends what a lease is for to `url`. When it resolves the item is delivered and gone; when it rejects
 * the item is still there, with what the next run needs to go on. The lease stays the caller's to release.
 * @throws as `upload()` does, and {TransferError} `locked` when another sender has taken the item over
 */
export async function sendItem(
  lease: OutboxLease,
  url: string | URL | HttpUrl,
  options: SendItemOptions = {},
): Promise<UploadResult> {
  const { keepAcknowledged = true, onStart, signal, clock = systemClock, ...rest } = options
  await using source = await openOutboxSource(lease, { keepAcknowledged })
  const lost = new AbortController()
  const end = keepLease(lease, clock, (error) => lost.abort(error))
  try {
    const running = upload(source, url, {
      ...rest,
      clock,
      signal: signal === undefined ? lost.signal : AbortSignal.any([signal, lost.signal]),
      saved: (lease.item.note ?? undefined) as UploadNote | undefined,
      onNote: (note) => lease.setNote(note),
    })
    onStart?.(running)
    const sent = await running.result
    await lease.done()
    return sent
  } finally {
    end()
  }
}

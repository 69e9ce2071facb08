/** Uploads as reporters know them. */
import type { HttpUrl } from 'ferry/transport'
import type { Upload, UploadEvent, UploadResult } from 'ferry/upload'
import { remainingMs, type ShownProgress } from './progress-view.ts'
import { createReporter, type Reporter, type TransferKind, type TransferTask } from './reporter.ts'
import type { SendOptions } from './send-options.ts'
import { describeDelivery, describeSendEvent, toShown } from './send-words.ts'

/** Something that is on its way: to the server, or into the outbox before that. */
export type SendTask = TransferTask & {
  readonly url: HttpUrl
  /** Of the file; undefined for what is in the outbox alone. */
  readonly path: string | undefined
} & SendStep

/** What is being done with it. */
export type SendStep =
  | {
      readonly step: 'send'
      readonly upload: Upload
      /** As far as it is known before the file is looked at. */
      readonly size?: number | undefined
    }
  | { readonly step: 'copy'; readonly look: () => ShownProgress }

/** Takes what happens to uploads. */
export type SendReporter = Reporter<SendTask, UploadEvent, UploadResult>

/** What reporters have to know of uploads, in the words of `ferry put`. */
export const UPLOADS: TransferKind<SendTask, UploadEvent, UploadResult> = {
  look,
  describeEvent: (event, task) => {
    // Parts of a file that are on their way at once mostly fail at once: the first has said it.
    const isSaid = task.step === 'send' && task.upload.state === 'waiting'
    return event.type === 'retry' && isSaid ? undefined : describeSendEvent(event)
  },
  describeResult: (result, { url }) => describeDelivery(result, url.href),
  describeDoubt: () => undefined,
  sizeOf: ({ size }) => size,
  identify: ({ url, name }) => ({ url: url.href, name }),
  describeStart: (task) => ({ step: task.step, path: task.path, size: look(task).size }),
  describeProgress: (task) => {
    const progress = task.step === 'send' ? task.upload.progress() : task.look()
    return { ...progress, remainingMs: remainingMs(look(task)) }
  },
}

/** Chooses the way of telling. */
export function createSendReporter({
  json,
  quiet,
}: Pick<SendOptions, 'json' | 'quiet'>): SendReporter {
  return createReporter(UPLOADS, { json: json === true, quiet: quiet === true }, process)
}

function look(task: SendTask): ShownProgress {
  if (task.step === 'copy') return task.look()
  const progress = task.upload.progress()
  return toShown({ ...progress, size: progress.size ?? task.size })
}

/** Downloads as reporters know them. */
import type { Download, DownloadEvent, DownloadResult } from 'ferry/download'
import { remainingMs } from './progress-view.ts'
import type { Reporter, TransferKind, TransferTask } from './reporter.ts'
import { describeDoubt, describeEvent, describeResult } from './get-words.ts'

/** A download that is under way. */
export interface GetTask extends TransferTask {
  readonly download: Download
  /** Whether the path of the file is known; otherwise the server has yet to name it. */
  readonly isNamed: boolean
}

/** Takes what happens to downloads. */
export type GetReporter = Reporter<GetTask, DownloadEvent, DownloadResult>

/** What reporters have to know of downloads. */
export const DOWNLOADS: TransferKind<GetTask, DownloadEvent, DownloadResult> = {
  look: ({ download }) => download.progress(),
  describeEvent,
  describeResult,
  describeDoubt,
  sizeOf: ({ size }) => size,
  identify: ({ download }) => ({ url: download.url.href }),
  describeStart: ({ download, isNamed }) => (isNamed ? { path: download.target } : {}),
  describeProgress: ({ download }) => {
    const progress = download.progress()
    return { ...progress, remainingMs: remainingMs(progress) }
  },
}

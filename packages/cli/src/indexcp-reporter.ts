/** Telling of uploads in the words that users of IndexedCP know; programs are told as by `ferry put`. */
import { basename } from 'node:path'
import { HttpStatusError, isFerryError } from 'ferry/errors'
import type { UploadResult } from 'ferry/upload'
import type { Failure } from './get-failure.ts'
import { OutboxReporter } from './outbox-reporter.ts'
import { createReporter } from './reporter.ts'
import { createSendReporter, UPLOADS } from './send-task.ts'

/** Chooses the way of telling. */
export function createIndexcpReporter({ json }: { readonly json?: true }): OutboxReporter {
  if (json === true) return new OutboxReporter(createSendReporter({ json }))
  const kind = { ...UPLOADS, describeResult: describeUpload }
  return new IndexcpReporter(createReporter(kind, { json: false, quiet: false }, process))
}

class IndexcpReporter extends OutboxReporter {
  protected override tell({ error, message, name }: Failure): void {
    const advice = adviceFor(error)
    const told = advice === undefined ? message : `${name}: ${error.message}. ${advice}.`
    this.note(`indexcp: ${told}`)
  }
}

/** Pure. */
export function describeUpload({ name, remoteName }: UploadResult): string {
  const isCalledSo = remoteName === undefined || remoteName === basename(name)
  return `Upload complete for ${name}${isCalledSo ? '' : ` -> Server saved as: ${remoteName}`}`
}

/** What there is no option for here; undefined where `ferry put` would say the same. */
function adviceFor(error: Error): string | undefined {
  if (isFerryError(error, 'timeout')) return 'Run the same command again to go on'
  if (!(error instanceof HttpStatusError)) return undefined
  if (error.status === 401)
    return 'Check the key in INDEXCP_API_KEY, then run the same command again'
  if (error.status === 404) return 'Check the URL: that of most servers ends in /upload'
  return undefined
}

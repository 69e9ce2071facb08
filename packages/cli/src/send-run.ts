/** Runs the uploads of one command, several at once. */
import { TransferError, UploadError } from 'ferry/errors'
import type { HttpUrl } from 'ferry/transport'
import {
  type Outbox,
  sendItem,
  type Upload,
  type UploadOptions,
  type UploadResult,
} from 'ferry/upload'
import { EXIT_OK } from './exit-codes.ts'
import type { Interruption } from './fetch-failure.ts'
import { describeSendFailure, type SendWords } from './send-failure.ts'
import type { SendSettings } from './send-settings.ts'
import { finishChunk } from './send-stop.ts'
import type { SendReporter, SendTask } from './send-task.ts'

/** One thing to send. */
export interface SendJob {
  readonly name: string
  readonly url: HttpUrl
  /** Of the file; undefined for what is in the outbox alone. */
  readonly path?: string | undefined
  /** As far as it is known. */
  readonly size?: number | undefined
  /** How it is gone on with after a failure, as a sentence without a full stop. */
  readonly goOn: string
  /** Sends it; `onStart` is called once it is under way. */
  send(options: UploadOptions, onStart: (upload: Upload) => void): Promise<UploadResult>
  /**
   * Called when it has failed, before that is told.
   * @returns what takes the place of `goOn`; undefined when that holds
   */
  afterFailure?(error: Error): Promise<string | undefined>
}

/** What the uploads of a run share. All of it belongs to the caller. */
export interface SendRunContext {
  readonly settings: SendSettings
  readonly reporter: SendReporter
  readonly signal: AbortSignal
  readonly words: SendWords
}

/**
 * Sends all of them, those that come after one that fails, too.
 * @returns the exit code: of an interruption, else of the first of the jobs that failed
 * @throws `signal.reason`, when none of them was begun before
 */
export async function sendAll(jobs: readonly SendJob[], context: SendRunContext): Promise<number> {
  const { signal, reporter, settings } = context
  const codes: number[] = []
  let next = 0
  reporter.begin(jobs.length)
  const sendNext = async (): Promise<void> => {
    while (next < jobs.length && !signal.aborted) {
      const index = next++
      codes[index] = await sendOne(jobs[index] as SendJob, index + 1, context)
    }
  }
  await Promise.all(Array.from({ length: Math.min(settings.files, jobs.length) }, sendNext))
  if (signal.aborted) {
    if (next === 0) throw signal.reason
    if (next < jobs.length) reporter.note(`${countFiles(jobs.length - next)} had not begun`)
    return (signal.reason as Interruption).exitCode
  }
  return codes.find((code) => code !== EXIT_OK) ?? EXIT_OK
}

/**
 * Sends an item of an outbox, which is gone from there when it is delivered.
 * @throws {TransferError} locked, while another process is sending it
 * @throws {UploadError} upload-not-found, when it is not there any more
 */
export async function sendFromOutbox(
  outbox: Outbox,
  id: string,
  {
    url,
    options,
    onStart,
  }: {
    readonly url: HttpUrl
    readonly options: UploadOptions
    readonly onStart: (upload: Upload) => void
  },
): Promise<UploadResult> {
  await using lease = await outbox.lease(id)
  if (lease === undefined) throw takenError(await outbox.get(id))
  return await sendItem(lease, url, { ...options, onStart })
}

async function sendOne(
  job: SendJob,
  number: number,
  { settings, reporter, signal, words }: SendRunContext,
): Promise<number> {
  const { name, url, path, size } = job
  let task: Extract<SendTask, { step: 'send' }> | undefined
  const options = settings.optionsFor(url, (event) => {
    if (task !== undefined) reporter.event(task, event)
  })
  const ending = new AbortController()
  const end = async (): Promise<void> => {
    if (task !== undefined) await finishChunk(task.upload, (sentence) => reporter.note(sentence))
    ending.abort(signal.reason)
  }
  const onAbort = (): void => void end()
  signal.addEventListener('abort', onAbort)
  const onStart = (upload: Upload): void => {
    task = { step: 'send', number, name, url, path, size, upload }
    reporter.start(task)
  }
  try {
    const result = await job.send({ ...options, signal: ending.signal }, onStart)
    stop(reporter, task)
    reporter.completed(task as SendTask, result)
    return EXIT_OK
  } catch (caught) {
    const error = caught as Error
    stop(reporter, task)
    const goOn = (await job.afterFailure?.(error)) ?? job.goOn
    const failed = { url: url.href, name, progress: task?.upload.progress(), goOn }
    const failure = describeSendFailure(error, failed, words)
    reporter.failed(failure, number)
    return failure.exitCode
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

function stop(reporter: SendReporter, task: SendTask | undefined): void {
  if (task !== undefined) reporter.stop(task)
}

/** Somebody else has it, or had it. */
function takenError(item: { readonly name: string } | undefined): Error {
  if (item !== undefined) {
    const name = JSON.stringify(item.name)
    return new TransferError('locked', `Cannot send ${name}: another ferry is sending it just now`)
  }
  return new UploadError(
    'upload-not-found',
    'Cannot send it: it is not in the outbox any more, since another ferry has sent or removed it',
  )
}

function countFiles(count: number): string {
  return count === 1 ? '1 file' : `${count} files`
}

/**
 * Telling of items that an outbox gives: several processes may be at it, so that what one is to send
 * may have been sent by another, which is no failure; and what concerns a server is told once.
 */
import { isFerryError } from 'ferry/errors'
import type { UploadEvent, UploadResult } from 'ferry/upload'
import { EXIT_OK } from './exit-codes.ts'
import type { Failure } from './get-failure.ts'
import { countFiles } from './outbox-items.ts'
import type { SendReporter, SendTask } from './send-task.ts'
import type { RunStats } from './stats-log.ts'

/** Passes on what happens, and keeps the exit code. */
export class OutboxReporter implements SendReporter {
  readonly #inner: SendReporter
  #count = 0
  #exitCode = EXIT_OK
  #failedFirst = Number.POSITIVE_INFINITY
  readonly #told = new Set<Error>()
  #untold = 0

  constructor(inner: SendReporter) {
    this.#inner = inner
  }

  /** Of the first item, in order, that could not be sent. */
  get exitCode(): number {
    return this.#exitCode
  }

  get wantsSummary(): boolean {
    return this.#inner.wantsSummary
  }

  begin(count: number): void {
    this.#count += count
    this.#inner.begin(this.#count)
  }

  start(task: SendTask): void {
    this.#inner.start(task)
  }

  event(task: SendTask, event: UploadEvent): void {
    this.#inner.event(task, event)
  }

  stop(task: SendTask): void {
    this.#inner.stop(task)
  }

  completed(task: SendTask, result: UploadResult): void {
    this.#inner.completed(task, result)
  }

  failed(failure: Failure, number: number = Number.MAX_SAFE_INTEGER): void {
    if (isGone(failure)) return
    if (number < this.#failedFirst) {
      this.#failedFirst = number
      this.#exitCode = failure.exitCode
    }
    if (this.#told.has(failure.error)) {
      this.#untold++
      return
    }
    this.#told.add(failure.error)
    this.tell(failure, number)
  }

  /** Tells of files that were not tried after the failure of another. */
  end(): void {
    if (this.#untold === 0) return
    this.note(`Not tried, for the same reason: ${countFiles(this.#untold)}`)
  }

  /** Tells of a failure. */
  protected tell(failure: Failure, number: number): void {
    this.#inner.failed(failure, number)
  }

  note(sentence: string): void {
    this.#inner.note(sentence)
  }

  summary(stats: RunStats): void {
    this.#inner.summary(stats)
  }

  hold(): () => void {
    return this.#inner.hold()
  }

  close(): void {
    this.#inner.close()
  }
}

/** Whether the item has left the outbox: another process has delivered or removed it. */
function isGone({ error }: Pick<Failure, 'error'>): boolean {
  return isFerryError(error, 'upload-not-found') && error.detail['status'] === undefined
}

/** Telling once what keeps several files from being sent. */
import type { UploadEvent, UploadResult } from 'ferry/upload'
import { Interruption } from './fetch-failure.ts'
import type { Failure } from './get-failure.ts'
import { countFiles } from './outbox-items.ts'
import type { SendReporter, SendTask } from './send-task.ts'
import type { RunStats } from './stats-log.ts'

/** Passes on what happens, but for failures that are one and the same. */
export class GroupedReporter implements SendReporter {
  readonly #inner: SendReporter
  readonly #told = new WeakSet<Error>()
  #untold = 0

  constructor(inner: SendReporter) {
    this.#inner = inner
  }

  get wantsSummary(): boolean {
    return this.#inner.wantsSummary
  }

  begin(count: number): void {
    this.#inner.begin(count)
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

  failed(failure: Failure, number?: number): void {
    const { error } = failure
    // An interruption finds each file elsewhere on its way.
    if (this.#told.has(error) && !(error instanceof Interruption)) {
      this.#untold++
      return
    }
    this.#told.add(error)
    this.tell(failure, number)
  }

  /** Tells of files that were not tried after the failure of another. */
  end(): void {
    if (this.#untold === 0) return
    this.note(`Not tried, for the same reason: ${countFiles(this.#untold)}`)
  }

  /** Tells of a failure. */
  protected tell(failure: Failure, number: number | undefined): void {
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

/** One JSON value a line, for programs; the fields are documented in docs/get.md. */
import type { DownloadEvent, DownloadResult } from 'ferry/download'
import type { Failure } from './get-failure.ts'
import { remainingMs } from './progress-view.ts'
import type { Output, Reporter, Task } from './reporter.ts'
import { jsonLine } from './terminal-text.ts'

const PROGRESS_MS = 1000

/** Writes events and, each second, how far each download is. */
export class JsonReporter implements Reporter {
  readonly wantsSummary = false
  readonly #stdout: Output
  readonly #running = new Set<Task>()
  #timer: NodeJS.Timeout | undefined

  constructor(stdout: Output) {
    this.#stdout = stdout
  }

  begin(): void {
    this.#timer = setInterval(() => {
      for (const task of this.#running) this.#tellProgress(task)
    }, PROGRESS_MS)
    this.#timer.unref()
  }

  start(task: Task): void {
    this.#write('started', task, task.isNamed ? { path: task.download.target } : {})
    // The first look starts the measuring of speed.
    task.download.progress()
    this.#running.add(task)
  }

  event(task: Task, event: DownloadEvent): void {
    const { type, ...rest } = event
    const error = 'error' in event ? { error: event.error.message } : {}
    this.#write(type, task, { ...rest, ...error })
  }

  stop(task: Task): void {
    this.#running.delete(task)
  }

  completed(task: Task, result: DownloadResult): void {
    this.#write('completed', task, result)
  }

  failed({ url, error, code, exitCode, message }: Failure, number?: number): void {
    const detail = 'detail' in error ? error.detail : {}
    this.#write('failed', undefined, { item: number, url, code, exitCode, message, detail })
  }

  note(sentence: string): void {
    this.#write('note', undefined, { message: sentence })
  }

  summary(): void {}

  close(): void {
    clearInterval(this.#timer)
  }

  #tellProgress(task: Task): void {
    const progress = task.download.progress()
    this.#write('progress', task, { ...progress, remainingMs: remainingMs(progress) })
  }

  #write(event: string, task: Task | undefined, fields: object): void {
    const { number, download } = task ?? {}
    const value = { event, item: number, url: download?.url.href, ...fields }
    this.#stdout.write(jsonLine(value))
  }
}

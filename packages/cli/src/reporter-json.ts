/** One JSON value a line, for programs; the fields are documented in docs/get.md and docs/put.md. */
import type { Failure } from './get-failure.ts'
import type { Output, Reporter, TransferKind, TransferTask } from './reporter.ts'
import { jsonLine } from './terminal-text.ts'

const PROGRESS_MS = 1000

/** Writes events and, each second, how far each transfer is. */
export class JsonReporter<
  Task extends TransferTask,
  Event extends { type: string },
  Result,
> implements Reporter<Task, Event, Result> {
  readonly wantsSummary = false
  readonly #kind: TransferKind<Task, Event, Result>
  readonly #stdout: Output
  readonly #running = new Set<Task>()
  #timer: NodeJS.Timeout | undefined

  constructor(kind: TransferKind<Task, Event, Result>, stdout: Output) {
    this.#kind = kind
    this.#stdout = stdout
  }

  begin(): void {
    clearInterval(this.#timer)
    this.#timer = setInterval(() => {
      for (const task of this.#running) this.#tellProgress(task)
    }, PROGRESS_MS)
    this.#timer.unref()
  }

  start(task: Task): void {
    this.#write('started', task, this.#kind.describeStart(task))
    this.#kind.look(task)
    this.#running.add(task)
  }

  event(task: Task, event: Event): void {
    const { type, ...rest } = event
    const error =
      'error' in event && event.error instanceof Error ? { error: event.error.message } : {}
    this.#write(type, task, { ...rest, ...error })
  }

  stop(task: Task): void {
    this.#running.delete(task)
  }

  completed(task: Task, result: Result): void {
    this.#write('completed', task, result as object)
  }

  failed({ error, ...failure }: Failure, number?: number): void {
    const detail = 'detail' in error ? error.detail : {}
    this.#write('failed', undefined, { item: number, ...failure, detail })
  }

  note(sentence: string): void {
    this.#write('note', undefined, { message: sentence })
  }

  summary(): void {}

  hold(): () => void {
    return () => {}
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #tellProgress(task: Task): void {
    this.#write('progress', task, this.#kind.describeProgress(task))
  }

  #write(event: string, task: Task | undefined, fields: object): void {
    const about = task === undefined ? {} : this.#kind.identify(task)
    this.#stdout.write(jsonLine({ event, item: task?.number, ...about, ...fields }))
  }
}

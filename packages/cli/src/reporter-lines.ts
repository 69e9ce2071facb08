/** Plain lines, for logs: what has ended, and now and then how far the rest is. */
import type { Failure } from './get-failure.ts'
import { renderLine, renderTotal } from './progress-view.ts'
import { TaskBook } from './reporter-tasks.ts'
import type { Output, Reporter, TransferKind, TransferTask } from './reporter.ts'
import { printable } from './terminal-text.ts'

// The first once it is clear that it takes longer.
const FIRST_LINE_MS = 1000
const LINE_MS = 5000

/** Writes a line now and then. */
export class LineReporter<
  Task extends TransferTask,
  Event extends { type: string },
  Result,
> implements Reporter<Task, Event, Result> {
  readonly wantsSummary = false
  readonly #kind: TransferKind<Task, Event, Result>
  readonly #stdout: Output
  readonly #stderr: Output
  readonly #tasks: TaskBook<Task, Event, Result>
  #timer: NodeJS.Timeout | undefined

  constructor(kind: TransferKind<Task, Event, Result>, stdout: Output, stderr: Output) {
    this.#kind = kind
    this.#tasks = new TaskBook(kind)
    this.#stdout = stdout
    this.#stderr = stderr
  }

  begin(count: number): void {
    this.#tasks.begin(count)
    clearTimeout(this.#timer)
    this.#tellIn(FIRST_LINE_MS)
  }

  start(task: Task): void {
    this.#tasks.start(task)
  }

  event(task: Task, event: Event): void {
    this.#noteIf(this.#tasks.describe(task, event))
  }

  stop(task: Task): void {
    this.#tasks.stop(task)
  }

  completed(task: Task, result: Result): void {
    this.#stdout.write(`${printable(this.#kind.describeResult(result, task))}\n`)
    this.#noteIf(this.#tasks.complete(result))
  }

  failed({ message }: Failure): void {
    this.#tasks.fail()
    this.note(`ferry: ${message}`)
  }

  note(sentence: string): void {
    this.#stderr.write(`${printable(sentence)}\n`)
  }

  summary(): void {}

  hold(): () => void {
    return () => {}
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  #noteIf(sentence: string | undefined): void {
    if (sentence !== undefined) this.note(sentence)
  }

  #tellIn(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#tell()
      this.#tellIn(LINE_MS)
    }, ms)
    this.#timer.unref()
  }

  #tell(): void {
    const shown = this.#tasks.shown()
    const [only] = shown
    if (only === undefined) return
    const isOnly = shown.length === 1
    this.note(
      isOnly ? renderLine(only.name, only.progress) : renderTotal(shown, this.#tasks.counts),
    )
  }
}

/** A terminal: lines for people, and below them what is going on now, redrawn in place. */
import type { Failure } from './get-failure.ts'
import { renderTransfers } from './progress-view.ts'
import { RedrawnLines } from './redrawn-lines.ts'
import { TaskBook } from './reporter-tasks.ts'
import type { Output, Reporter, TransferKind, TransferTask } from './reporter.ts'
import type { RunStats } from './stats-log.ts'
import { renderSummary } from './stats-summary.ts'
import { printable } from './terminal-text.ts'

const REDRAW_MS = 100

/** Redraws a few lines in place. */
export class TerminalReporter<
  Task extends TransferTask,
  Event extends { type: string },
  Result,
> implements Reporter<Task, Event, Result> {
  readonly wantsSummary = true
  readonly #kind: TransferKind<Task, Event, Result>
  readonly #stdout: Output
  readonly #lines: RedrawnLines
  readonly #tasks: TaskBook<Task, Event, Result>
  readonly #timer: NodeJS.Timeout
  #isHeld = false

  constructor(kind: TransferKind<Task, Event, Result>, stdout: Output, stderr: Output) {
    this.#kind = kind
    this.#tasks = new TaskBook(kind)
    this.#stdout = stdout
    this.#lines = new RedrawnLines(stderr)
    this.#timer = setInterval(() => this.#draw(), REDRAW_MS)
    this.#timer.unref()
  }

  begin(count: number): void {
    this.#tasks.begin(count)
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
    this.#lines.print([printable(this.#kind.describeResult(result, task))], this.#stdout)
    this.#noteIf(this.#tasks.complete(result))
  }

  failed({ message }: Failure): void {
    this.#tasks.fail()
    this.note(`ferry: ${message}`)
  }

  note(sentence: string): void {
    this.#lines.print([printable(sentence)])
  }

  summary(stats: RunStats): void {
    for (const line of renderSummary(stats)) this.note(line)
  }

  hold(): () => void {
    this.#isHeld = true
    this.#lines.clear()
    return () => (this.#isHeld = false)
  }

  close(): void {
    clearInterval(this.#timer)
    this.#lines.clear()
  }

  #noteIf(sentence: string | undefined): void {
    if (sentence !== undefined) this.note(sentence)
  }

  #draw(): void {
    const shown = this.#tasks.shown()
    // What was drawn last stays until there is something else to show.
    if (shown.length === 0 || this.#isHeld) return
    const { columns, rows } = this.#lines
    this.#lines.draw(renderTransfers(shown, this.#tasks.counts, { columns, rows }))
  }
}

/** A terminal: lines for people, and below them what is going on now, redrawn in place. */
import type { DownloadEvent, DownloadResult } from 'ferry/download'
import type { Failure } from './get-failure.ts'
import { renderDownloads } from './progress-view.ts'
import { RedrawnLines } from './redrawn-lines.ts'
import { TaskBook } from './reporter-tasks.ts'
import type { Output, Reporter, Task } from './reporter.ts'
import { describeResult } from './reporter-words.ts'
import type { RunStats } from './stats-log.ts'
import { renderSummary } from './stats-summary.ts'
import { printable } from './terminal-text.ts'

const REDRAW_MS = 100

/** Redraws a few lines in place. */
export class TerminalReporter implements Reporter {
  readonly wantsSummary = true
  readonly #stdout: Output
  readonly #lines: RedrawnLines
  readonly #tasks = new TaskBook()
  readonly #timer: NodeJS.Timeout

  constructor(stdout: Output, stderr: Output) {
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

  event(task: Task, event: DownloadEvent): void {
    this.#noteIf(this.#tasks.describe(task, event))
  }

  stop(task: Task): void {
    this.#tasks.stop(task)
  }

  completed(_task: Task, result: DownloadResult): void {
    this.#lines.print([printable(describeResult(result))], this.#stdout)
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
    if (shown.length === 0) return
    const { columns, rows } = this.#lines
    this.#lines.draw(renderDownloads(shown, this.#tasks.counts, { columns, rows }))
  }
}

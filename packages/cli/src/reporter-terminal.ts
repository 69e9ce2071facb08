/**
 * A terminal: lines for people, and below them what is going on now, redrawn in place. Owns what is
 * drawn: whatever is printed erases it first.
 */
import type { DownloadEvent, DownloadResult } from 'ferry/download'
import type { Failure } from './get-failure.ts'
import { renderDownloads, type ShownCounts } from './progress-view.ts'
import type { Output, Reporter, Task } from './reporter.ts'
import { describeDoubt, describeEvent, describeResult } from './reporter-words.ts'
import type { RunStats } from './stats-log.ts'
import { renderSummary } from './stats-summary.ts'
import { printable } from './terminal-text.ts'

const REDRAW_MS = 100
// A terminal that does not know its size says 0.
const DEFAULT_COLUMNS = 80
const DEFAULT_ROWS = 24
// DECAWM, which every terminal since the VT100 knows: what is too wide is cut and not continued on
// the next line, whatever the width of its characters. In one write with what it is for, so that
// nothing else is drawn without wrapping.
const NO_WRAP = '\u001b[?7l'
const WRAP = '\u001b[?7h'

/** Redraws a few lines in place. */
export class TerminalReporter implements Reporter {
  readonly wantsSummary = true
  readonly #stdout: Output
  readonly #stderr: Output
  readonly #running = new Set<Task>()
  readonly #timer: NodeJS.Timeout
  #counts: ShownCounts = { all: 0, done: 0, doneBytes: 0, failed: 0 }
  #drawn = 0

  constructor(stdout: Output, stderr: Output) {
    this.#stdout = stdout
    this.#stderr = stderr
    this.#timer = setInterval(() => this.#draw(), REDRAW_MS)
    this.#timer.unref()
  }

  begin(count: number): void {
    this.#counts = { ...this.#counts, all: count }
  }

  start(task: Task): void {
    this.#running.add(task)
  }

  event(task: Task, event: DownloadEvent): void {
    const text = describeEvent(event)
    if (text === undefined) return
    this.note(this.#counts.all === 1 ? text : `${task.name}: ${text}`)
  }

  stop(task: Task): void {
    this.#running.delete(task)
  }

  completed(_task: Task, result: DownloadResult): void {
    const { done, doneBytes } = this.#counts
    this.#counts = { ...this.#counts, done: done + 1, doneBytes: doneBytes + result.size }
    this.#print(this.#stdout, describeResult(result))
    const doubt = describeDoubt(result)
    if (doubt !== undefined) this.note(doubt)
  }

  failed({ message }: Failure): void {
    this.#counts = { ...this.#counts, failed: this.#counts.failed + 1 }
    this.#print(this.#stderr, `ferry: ${message}`)
  }

  note(sentence: string): void {
    this.#print(this.#stderr, sentence)
  }

  summary(stats: RunStats): void {
    for (const line of renderSummary(stats)) this.note(line)
  }

  close(): void {
    clearInterval(this.#timer)
    this.#clear()
  }

  #print(output: Output, line: string): void {
    this.#clear()
    output.write(`${printable(line)}\n`)
  }

  #draw(): void {
    if (this.#running.size === 0) return
    const shown = [...this.#running].map(({ name, download }) => ({
      name: printable(name),
      progress: download.progress(),
    }))
    const lines = renderDownloads(shown, this.#counts, {
      columns: this.#stderr.columns || DEFAULT_COLUMNS,
      rows: this.#stderr.rows || DEFAULT_ROWS,
    })
    this.#clear()
    this.#stderr.write(NO_WRAP + lines.map((line) => `${line}\n`).join('') + WRAP)
    this.#drawn = lines.length
  }

  /** Goes up over what was drawn and erases from there (ECMA-48 CPL and ED). */
  #clear(): void {
    if (this.#drawn > 0) this.#stderr.write(`\u001b[${this.#drawn}F\u001b[0J`)
    this.#drawn = 0
  }
}

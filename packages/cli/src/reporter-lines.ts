/** Plain lines, for logs: what has ended, and now and then how far the rest is. */
import type { DownloadEvent, DownloadResult } from 'ferry/download'
import type { Failure } from './get-failure.ts'
import { renderLine, renderTotal, type ShownCounts } from './progress-view.ts'
import type { Output, Reporter, Task } from './reporter.ts'
import { describeDoubt, describeEvent, describeResult } from './reporter-words.ts'
import { printable } from './terminal-text.ts'

// The first once it is clear that it takes longer.
const FIRST_LINE_MS = 1000
const LINE_MS = 5000

/** Writes a line now and then. */
export class LineReporter implements Reporter {
  readonly wantsSummary = false
  readonly #stdout: Output
  readonly #stderr: Output
  readonly #running = new Set<Task>()
  #timer: NodeJS.Timeout | undefined
  #counts: ShownCounts = { all: 0, done: 0, doneBytes: 0, failed: 0 }

  constructor(stdout: Output, stderr: Output) {
    this.#stdout = stdout
    this.#stderr = stderr
  }

  begin(count: number): void {
    this.#counts = { ...this.#counts, all: count }
    this.#tellIn(FIRST_LINE_MS)
  }

  start(task: Task): void {
    // The first look starts the measuring of speed.
    task.download.progress()
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
    this.#stdout.write(`${printable(describeResult(result))}\n`)
    const doubt = describeDoubt(result)
    if (doubt !== undefined) this.note(doubt)
  }

  failed({ message }: Failure): void {
    this.#counts = { ...this.#counts, failed: this.#counts.failed + 1 }
    this.note(`ferry: ${message}`)
  }

  note(sentence: string): void {
    this.#stderr.write(`${printable(sentence)}\n`)
  }

  summary(): void {}

  close(): void {
    clearTimeout(this.#timer)
  }

  #tellIn(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#tell()
      this.#tellIn(LINE_MS)
    }, ms)
    this.#timer.unref()
  }

  #tell(): void {
    const shown = [...this.#running].map(({ name, download }) => ({
      name,
      progress: download.progress(),
    }))
    const [only] = shown
    if (only === undefined) return
    this.note(
      shown.length === 1 ? renderLine(only.name, only.progress) : renderTotal(shown, this.#counts),
    )
  }
}

/** Plain lines, for logs: what has ended, and now and then how far the rest is. */
import type { DownloadEvent, DownloadResult } from 'ferry/download'
import type { Failure } from './get-failure.ts'
import { renderLine, renderTotal } from './progress-view.ts'
import { TaskBook } from './reporter-tasks.ts'
import type { Output, Reporter, Task } from './reporter.ts'
import { describeResult } from './reporter-words.ts'
import { printable } from './terminal-text.ts'

// The first once it is clear that it takes longer.
const FIRST_LINE_MS = 1000
const LINE_MS = 5000

/** Writes a line now and then. */
export class LineReporter implements Reporter {
  readonly wantsSummary = false
  readonly #stdout: Output
  readonly #stderr: Output
  readonly #tasks = new TaskBook()
  #timer: NodeJS.Timeout | undefined

  constructor(stdout: Output, stderr: Output) {
    this.#stdout = stdout
    this.#stderr = stderr
  }

  begin(count: number): void {
    this.#tasks.begin(count)
    this.#tellIn(FIRST_LINE_MS)
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
    this.#stdout.write(`${printable(describeResult(result))}\n`)
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

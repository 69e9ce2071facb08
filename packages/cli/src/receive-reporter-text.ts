/**
 * Lines for people: what has arrived on standard output, everything else on standard error. On a
 * terminal what is on its way stands below them, redrawn in place; elsewhere a line tells it now and
 * then.
 */
import type { UploadEvent, UploadStatus } from 'ferry/receive'
import { isTold, UploadBook } from './receive-book.ts'
import type { ReceiveFailure } from './receive-failure.ts'
import type { ReceiveReporter } from './receive-reporter.ts'
import { renderRunning, renderRunningLine } from './receive-view.ts'
import {
  describeArrival,
  describeEnd,
  describeLoss,
  describePause,
  describeSite,
  type ReceiveSite,
} from './receive-words.ts'
import { RedrawnLines } from './redrawn-lines.ts'
import type { Output } from './reporter.ts'
import { printable } from './terminal-text.ts'

const REDRAW_MS = 200
const LINE_MS = 5000

/** Writes lines, and redraws some of them on a terminal. */
export class TextReceiveReporter implements ReceiveReporter {
  readonly #stdout: Output
  readonly #folder: string
  readonly #isTerminal: boolean
  readonly #lines: RedrawnLines
  readonly #book = new UploadBook()
  readonly #timer: NodeJS.Timeout
  #site: ReceiveSite | undefined

  /** @param folder that it receives into */
  constructor(stdout: Output, stderr: Output, folder: string) {
    this.#stdout = stdout
    this.#folder = folder
    this.#isTerminal = stderr.isTTY === true
    this.#lines = new RedrawnLines(stderr)
    this.#timer = setInterval(() => this.#tell(), this.#isTerminal ? REDRAW_MS : LINE_MS)
    this.#timer.unref()
  }

  begin(site: ReceiveSite): void {
    this.#site = site
    this.#lines.print(describeSite(site).map((line) => printable(line)))
  }

  event(event: UploadEvent): void {
    const { upload } = event
    const arrival = this.#book.note(event, performance.now())
    if (!isTold(upload)) return
    const loss = describeLoss(event)
    if (loss !== undefined) this.#print(loss)
    if (arrival === undefined) return
    this.#print(describeArrival(upload, arrival, this.#folder), this.#stdout)
  }

  failed({ message }: Pick<ReceiveFailure, 'message'>): void {
    this.#lines.print([printable(`ferry: ${message}`)])
  }

  note(sentence: string): void {
    this.#print(sentence)
  }

  stop(): void {
    this.note('Stopping; what is on its way is kept')
  }

  end(unfinished: readonly UploadStatus[]): void {
    if (this.#site === undefined) return
    const lines = describeEnd(unfinished, this.#site)
    this.#lines.print(lines.map((line) => printable(line)))
  }

  close(): void {
    clearInterval(this.#timer)
    this.#lines.clear()
  }

  /** A line with the time of the day; in a log, with the date. */
  #print(sentence: string, output?: Output): void {
    const now = new Date()
    const time = this.#isTerminal ? now.toTimeString().slice(0, 8) : now.toISOString()
    this.#lines.print([printable(`${time} ${sentence}`)], output)
  }

  #tell(): void {
    const now = performance.now()
    for (const upload of this.#book.takePaused(now)) this.#print(describePause(upload))
    const running = this.#book.running(now)
    if (this.#isTerminal) {
      const { columns, rows } = this.#lines
      this.#lines.draw(renderRunning(running, this.#book.arrived, { columns, rows }))
    } else if (running.length > 0) this.#print(renderRunningLine(running))
  }
}

/** Tells the user what happens: by redrawing a terminal, by plain lines, by JSON lines, or not at all. */
import type { Download, DownloadEvent, DownloadResult } from 'ferry/download'
import type { Failure } from './get-failure.ts'
import { JsonReporter } from './reporter-json.ts'
import { LineReporter } from './reporter-lines.ts'
import { TerminalReporter } from './reporter-terminal.ts'
import type { RunStats } from './stats-log.ts'
import { printable } from './terminal-text.ts'

/** A download that is under way. */
export interface Task {
  /** Its place among those that were asked for, from 1. */
  readonly number: number
  readonly download: Download
  /** What its file is called, as far as is known. */
  readonly name: string
  /** Whether the path of the file is known; otherwise the server has yet to name it. */
  readonly isNamed: boolean
}

/** Takes what happens to downloads. */
export interface Reporter {
  /** There is to be a summary at the end. */
  readonly wantsSummary: boolean
  /** So many downloads are to follow. */
  begin(count: number): void
  start(task: Task): void
  event(task: Task, event: DownloadEvent): void
  /** Is no longer under way, however it ended. */
  stop(task: Task): void
  completed(task: Task, result: DownloadResult): void
  /** The number is that of the download; undefined for what concerns none, or all. */
  failed(failure: Failure, number?: number): void
  /** What is good to know. */
  note(sentence: string): void
  summary(stats: RunStats): void
  /** Nothing more is told. */
  close(): void
}

/** Where text goes. */
export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

/** Chooses the way of telling. */
export function createReporter(
  options: { json: boolean; quiet: boolean },
  stdout: Output,
  stderr: Output,
): Reporter {
  if (options.json) return new JsonReporter(stdout)
  if (options.quiet) return new QuietReporter(stderr)
  return stderr.isTTY === true
    ? new TerminalReporter(stdout, stderr)
    : new LineReporter(stdout, stderr)
}

class QuietReporter implements Reporter {
  readonly wantsSummary = false
  readonly #stderr: Output

  constructor(stderr: Output) {
    this.#stderr = stderr
  }

  begin(): void {}

  start(): void {}

  event(): void {}

  stop(): void {}

  completed(): void {}

  failed({ message }: Failure): void {
    this.#stderr.write(`ferry: ${printable(message)}\n`)
  }

  note(): void {}

  summary(): void {}

  close(): void {}
}

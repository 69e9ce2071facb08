/** Tells the user what happens: by redrawing a terminal, by plain lines, by JSON lines, or not at all. */
import type { Failure } from './get-failure.ts'
import type { ShownProgress } from './progress-view.ts'
import { JsonReporter } from './reporter-json.ts'
import { LineReporter } from './reporter-lines.ts'
import { TerminalReporter } from './reporter-terminal.ts'
import type { RunStats } from './stats-log.ts'
import { printable } from './terminal-text.ts'

/** A transfer that is under way. */
export interface TransferTask {
  /** Its place among those that were asked for, from 1. */
  readonly number: number
  /** What its file is called, as far as is known. */
  readonly name: string
}

/** One kind of transfer, downloads say: how each is looked at, and told of in words and as JSON. */
export interface TransferKind<Task extends TransferTask, Event extends { type: string }, Result> {
  /** The first look starts the measuring of speed. */
  readonly look: (task: Task) => ShownProgress
  /** A line about an event; undefined for what a display shows anyway. */
  readonly describeEvent: (event: Event, task: Task) => string | undefined
  /** A line about what has come of it. */
  readonly describeResult: (result: Result, task: Task) => string
  /** What the user should know of it; undefined when nothing is doubtful. */
  readonly describeDoubt: (result: Result) => string | undefined
  readonly sizeOf: (result: Result) => number
  /** Fields of each JSON value about it. */
  readonly identify: (task: Task) => object
  /** Fields beside these when it starts. */
  readonly describeStart: (task: Task) => object
  /** How far it is. */
  readonly describeProgress: (task: Task) => object
}

/** Takes what happens to transfers of one kind. */
export interface Reporter<Task extends TransferTask, Event, Result> {
  /** There is to be a summary at the end. */
  readonly wantsSummary: boolean
  /** So many transfers are to follow; called again where there are several rounds of them. */
  begin(count: number): void
  start(task: Task): void
  event(task: Task, event: Event): void
  /** Is no longer under way, however it ended. */
  stop(task: Task): void
  completed(task: Task, result: Result): void
  /** The number is that of the transfer; undefined for what concerns none, or all. */
  failed(failure: Failure, number?: number): void
  /** What is good to know. */
  note(sentence: string): void
  summary(stats: RunStats): void
  /** Draws nothing until what it returns is called: somebody else uses the terminal. */
  hold(): () => void
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
export function createReporter<Task extends TransferTask, Event extends { type: string }, Result>(
  kind: TransferKind<Task, Event, Result>,
  { json, quiet }: { readonly json: boolean; readonly quiet: boolean },
  { stdout, stderr }: { readonly stdout: Output; readonly stderr: Output },
): Reporter<Task, Event, Result> {
  if (json) return new JsonReporter(kind, stdout)
  if (quiet) return new QuietReporter(stderr)
  // One that cannot move its cursor says so by its name.
  return stderr.isTTY === true && process.env['TERM'] !== 'dumb'
    ? new TerminalReporter(kind, stdout, stderr)
    : new LineReporter(kind, stdout, stderr)
}

class QuietReporter implements Reporter<TransferTask, unknown, unknown> {
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

  hold(): () => void {
    return () => {}
  }

  close(): void {}
}

/** The book of transfers that the reporters for people keep: which run, and what has become of the others. */
import type { ShownCounts, ShownTransfer } from './progress-view.ts'
import type { TransferKind, TransferTask } from './reporter.ts'
import { printable } from './terminal-text.ts'

/** The transfers of one run. */
export class TaskBook<Task extends TransferTask, Event extends { type: string }, Result> {
  readonly #kind: TransferKind<Task, Event, Result>
  readonly #running = new Set<Task>()
  #counts: ShownCounts = { all: 0, done: 0, doneBytes: 0, failed: 0 }

  constructor(kind: TransferKind<Task, Event, Result>) {
    this.#kind = kind
  }

  get counts(): ShownCounts {
    return this.#counts
  }

  /** So many are to follow. */
  begin(count: number): void {
    this.#counts = { ...this.#counts, all: count }
  }

  start(task: Task): void {
    this.#kind.look(task)
    this.#running.add(task)
  }

  stop(task: Task): void {
    this.#running.delete(task)
  }

  /** @returns what the user should know of the file; undefined when nothing is doubtful */
  complete(result: Result): string | undefined {
    const { done, doneBytes } = this.#counts
    this.#counts = {
      ...this.#counts,
      done: done + 1,
      doneBytes: doneBytes + this.#kind.sizeOf(result),
    }
    return this.#kind.describeDoubt(result)
  }

  fail(): void {
    this.#counts = { ...this.#counts, failed: this.#counts.failed + 1 }
  }

  /** What is to be said of an event, with the file's name where there are several. */
  describe(task: Task, event: Event): string | undefined {
    const text = this.#kind.describeEvent(event, task)
    return text === undefined || this.#counts.all === 1 ? text : `${task.name}: ${text}`
  }

  /** How far those are that run now. */
  shown(): ShownTransfer[] {
    return [...this.#running].map((task) => ({
      name: printable(task.name),
      progress: this.#kind.look(task),
    }))
  }
}

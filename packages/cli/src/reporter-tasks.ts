/** The book of downloads that the reporters for people keep: which run, and what has become of the others. */
import type { DownloadEvent, DownloadResult } from 'ferry/download'
import type { ShownCounts, ShownDownload } from './progress-view.ts'
import type { Task } from './reporter.ts'
import { describeDoubt, describeEvent } from './reporter-words.ts'
import { printable } from './terminal-text.ts'

/** The downloads of one run. */
export class TaskBook {
  readonly #running = new Set<Task>()
  #counts: ShownCounts = { all: 0, done: 0, doneBytes: 0, failed: 0 }

  get counts(): ShownCounts {
    return this.#counts
  }

  /** So many are to follow. */
  begin(count: number): void {
    this.#counts = { ...this.#counts, all: count }
  }

  start(task: Task): void {
    // The first look starts the measuring of speed.
    task.download.progress()
    this.#running.add(task)
  }

  stop(task: Task): void {
    this.#running.delete(task)
  }

  /** @returns what the user should know of the file; undefined when nothing is doubtful */
  complete(result: DownloadResult): string | undefined {
    const { done, doneBytes } = this.#counts
    this.#counts = { ...this.#counts, done: done + 1, doneBytes: doneBytes + result.size }
    return describeDoubt(result)
  }

  fail(): void {
    this.#counts = { ...this.#counts, failed: this.#counts.failed + 1 }
  }

  /** What is to be said of an event, with the file's name where there are several. */
  describe(task: Task, event: DownloadEvent): string | undefined {
    const text = describeEvent(event)
    return text === undefined || this.#counts.all === 1 ? text : `${task.name}: ${text}`
  }

  /** How far those are that run now. */
  shown(): ShownDownload[] {
    return [...this.#running].map(({ name, download }) => ({
      name: printable(name),
      progress: download.progress(),
    }))
  }
}

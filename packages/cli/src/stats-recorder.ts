/** Looks at running downloads now and then, for the figure and the summary at the end. */
import type { GetTask } from './get-task.ts'
import { type RunStats, StatsLog } from './stats-log.ts'

const LOOK_MS = 100

/** Records from when it is made until `stop`. */
export class StatsRecorder {
  readonly #log = new StatsLog(performance.now())
  /** Their numbers in the log. */
  readonly #running = new Map<GetTask, number>()
  readonly #timer: NodeJS.Timeout

  constructor() {
    this.#timer = setInterval(() => {
      for (const task of this.#running.keys()) this.#look(task)
    }, LOOK_MS)
    this.#timer.unref()
  }

  watch(task: GetTask): void {
    this.#running.set(task, this.#log.add(task.download.url.href, performance.now()))
  }

  /** The download has ended: a last look. */
  end(task: GetTask): void {
    this.#look(task)
    this.#running.delete(task)
  }

  /** Records nothing more. */
  stop(): RunStats {
    clearInterval(this.#timer)
    return this.#log.stats
  }

  #look(task: GetTask): void {
    const number = this.#running.get(task)
    if (number === undefined) return
    this.#log.note(number, performance.now(), task.name, task.download.progress())
  }
}

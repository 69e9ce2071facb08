/** `ferry get` as a process that is ended at a moment of its life, however deep it is in its work. */
import { once } from 'node:events'
import { type FSWatcher, watch } from 'node:fs'
import type { Moment } from './soak-downloads-plan.ts'
import { type Command, endProgram, startProgram } from './support.ts'

/** How a run has ended. */
export interface RunEnd {
  /** undefined when a signal ended it. */
  readonly exitCode: number | undefined
  readonly signal: NodeJS.Signals | undefined
  /** What it said on standard error. */
  readonly said: string
  /** When the signal was sent, in epoch ms; undefined when the run was over before. */
  readonly signalledAt: number | undefined
  /** It did not end in time, and was killed. */
  readonly isStuck: boolean
}

/** Ends a run by a signal. */
export interface Ending {
  readonly moment: Moment
  readonly signal: NodeJS.Signals
}

/** Far longer than any run of the soak takes, the server's waits and a busy machine included. */
const PATIENCE_MS = 90_000

/** Runs the command in a folder to its end, or to the moment of its ending. */
export async function runToEnd(
  command: Command,
  folder: string,
  ending: Ending | undefined,
): Promise<RunEnd> {
  using trigger = new Trigger(folder, ending?.moment)
  // Neither settings nor netrc of the person at the machine are to matter.
  const child = startProgram(['env', '-C', folder, `HOME=${folder}/..`, ...command], 'ignore')
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text))
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  let signalledAt: number | undefined
  trigger.start(() => {
    if (ending === undefined || child.exitCode !== null || child.signalCode !== null) return
    signalledAt = Date.now()
    child.kill(ending.signal)
  })
  let isStuck = false
  const patience = setTimeout(() => {
    isStuck = true
    endProgram(child)
  }, PATIENCE_MS)
  const [exitCode, signal] = await closed
  clearTimeout(patience)
  return {
    exitCode: exitCode ?? undefined,
    signal: signal ?? undefined,
    said,
    signalledAt,
    isStuck,
  }
}

/** Calls once, when the moment has come; what is disposed of calls no more. */
class Trigger implements Disposable {
  readonly #folder: string
  readonly #moment: Moment | undefined
  #watcher: FSWatcher | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(folder: string, moment: Moment | undefined) {
    this.#folder = folder
    this.#moment = moment
  }

  start(call: () => void): void {
    const moment = this.#moment
    switch (moment?.type) {
      case undefined:
        break
      case 'started':
        this.#timer = setTimeout(call, moment.ms)
        break
      case 'fetching':
        this.#countRenames(1, () => (this.#timer = setTimeout(call, moment.ms)))
        break
      case 'renamed':
        this.#countRenames(moment.count, call)
    }
  }

  #countRenames(count: number, call: () => void): void {
    let seen = 0
    this.#watcher = watch(this.#folder, (type) => {
      if (type !== 'rename') return
      seen++
      if (seen === count) call()
    })
  }

  [Symbol.dispose](): void {
    this.#watcher?.close()
    clearTimeout(this.#timer)
  }
}

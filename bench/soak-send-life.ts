/** One life of a sender in the soak of sending: it is started, says what it does, and is killed. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type FSWatcher, watch } from 'node:fs'
import type { Readable } from 'node:stream'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { AddedGroup } from './soak-send-checks.ts'
import { itemOf } from './soak-send-items.ts'
import type { SenderPlan, Step } from './soak-send-plan.ts'

/** Something that a sender has said. */
export interface Word {
  readonly step: Step
  readonly rest: readonly string[]
}

/** What a sender was doing when it ended; several things, where it did them at once. */
export type Doing = 'starting' | 'adding' | 'sending' | 'at the answer' | 'nothing'

/** How a life went. */
export interface LifeEnd {
  readonly words: readonly Word[]
  readonly wasKilled: boolean
  /** It did not come to its end, and was killed for that. */
  readonly isStuck: boolean
  readonly stderr: string
}

const MAIN = fileURLToPath(new URL('./soak-send-main.ts', import.meta.url))
/** By when a moment has come that has to come, at the latest. */
const LONGEST_LIFE_MS = 3000
/** Far longer than any sender takes that has nothing more to add. */
const PATIENCE_MS = 180_000

/** A running sender; it ends by itself, or by its moment. */
export class SenderLife {
  readonly end: Promise<LifeEnd>
  readonly #plan: SenderPlan
  readonly #child: ChildProcessByStdio<null, Readable, Readable>
  readonly #words: Word[] = []
  readonly #timers = new Set<NodeJS.Timeout>()
  #watcher: FSWatcher | undefined
  #isStuck = false

  /** @param folder where the server puts finished files */
  constructor(plan: SenderPlan, folder: string) {
    this.#plan = plan
    this.#child = spawn(process.execPath, [MAIN, JSON.stringify(plan)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.end = this.#live()
    this.#awaitMoment(folder)
  }

  /** At once; nothing for one that has ended. */
  kill(): void {
    this.#child.kill('SIGKILL')
  }

  async #live(): Promise<LifeEnd> {
    const child = this.#child
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [step, ...rest] = line.split(' ')
      this.#words.push({ step: step as Step, rest })
    })
    const [, signal] = (await once(child, 'close')) as [number | null, string | null]
    this.#watcher?.close()
    for (const timer of this.#timers) clearTimeout(timer)
    // Ctrl-C, which ends the soak, reaches senders as well.
    const wasKilled = (signal === 'SIGKILL' || signal === 'SIGINT') && !this.#isStuck
    return { words: this.#words, wasKilled, isStuck: this.#isStuck, stderr }
  }

  #awaitMoment(folder: string): void {
    const { kill } = this.#plan
    if (kill === undefined) {
      this.#after(PATIENCE_MS, () => {
        this.#isStuck = true
        this.kill()
      })
      return
    }
    this.#after(kill.type === 'starting' ? kill.afterMs : LONGEST_LIFE_MS, () => this.kill())
    if (kill.type !== 'file') return
    let left = kill.count
    this.#watcher = watch(folder, (_, name) => {
      if (name === null || itemOf(name) === undefined) return
      left--
      if (left > 0) return
      if (kill.afterMs === 0) this.kill()
      else this.#after(kill.afterMs, () => this.kill())
    })
  }

  #after(ms: number, call: () => void): void {
    this.#timers.add(setTimeout(call, ms))
  }
}

/** What a sender was doing, by its last words. */
export function doingsOf(words: readonly Word[]): ReadonlySet<Doing> {
  if (words.length === 0) return new Set(['starting'])
  const doings = new Set<Doing>()
  const sending = new Map<string, Doing>()
  for (const { step, rest } of words) {
    const [name = ''] = rest
    if (step === 'adding') doings.add('adding')
    else if (step === 'added') doings.delete('adding')
    else if (step === 'sending') sending.set(name, 'sending')
    else if (step === 'answered') sending.set(name, 'at the answer')
    else if (step === 'done' || step === 'doubt' || step === 'failed') sending.delete(name)
  }
  for (const doing of sending.values()) doings.add(doing)
  return doings.size === 0 ? new Set(['nothing']) : doings
}

/** What was to be added together, and whether adding it has returned. */
export function readGroups(words: readonly Word[]): AddedGroup[] {
  const added = new Set(
    words.flatMap(({ step, rest }) => (step === 'added' ? [rest.join(' ')] : [])),
  )
  return words
    .filter(({ step }) => step === 'adding')
    .map(({ rest }) => ({ names: rest, isAdded: added.has(rest.join(' ')) }))
}

/**
 * One life of a server in the soak of receiving: it starts on a folder that an earlier one has left,
 * is asked whether everything is there, gets uploads from several clients at once, and is killed.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { ChildGreeting, ChildOptions } from '../test/support/receive-child-main.ts'
import type { Random } from './soak-random.ts'
import { IetfUpload, TusParallelUpload, TusUpload } from './soak-receive-resumable.ts'
import {
  contentByName,
  IdentifiedUpload,
  IndexedCpUpload,
  type Kind,
  type SoakUpload,
  WrongAnswer,
} from './soak-receive-upload.ts'
import { LostConnection, NoAnswer, Wire } from './soak-receive-wire.ts'

/** When the server is killed. */
export type KillMoment =
  /** So long after it was started. */
  | { readonly type: 'starting'; readonly ms: number }
  /** So long after the clients have begun. */
  | { readonly type: 'receiving'; readonly ms: number }
  /** With so many acknowledgements of this life. */
  | { readonly type: 'acknowledged'; readonly count: number }

/** What a server is started with. */
export interface LifePlan {
  readonly folder: string
  readonly ack: 'durable' | 'written'
  /** How wrong its clock is. */
  readonly skewMs: number
  /** undefined for a life to the end of all uploads. */
  readonly kill: KillMoment | undefined
  /** Options of node. */
  readonly nodeOptions: readonly string[]
}

/** What must not be. */
export interface SoakProblem {
  readonly type: 'lost' | 'wrong file' | 'half-finished' | 'wrong answer' | 'stuck' | 'start'
  readonly text: string
}

/** How a life went. */
export interface LifeOutcome {
  /** Whether it was still starting when it was killed. */
  readonly isEarly: boolean
  readonly problems: readonly SoakProblem[]
}

/** Who sends: each goes on with what is unfinished of its kind, or begins anew. */
const LANES: readonly Kind[] = [
  'tus',
  'tus',
  'tus-parallel',
  'ietf',
  'ietf',
  'indexedcp',
  'indexedcp',
  'indexedcp-id',
]
const MAIN = fileURLToPath(new URL('../test/support/receive-child-main.ts', import.meta.url))
const WATCH_MS = 5
/** Often, so that kills meet uploads in between. */
const CHECKPOINT_MS = 20
const MAKE: Readonly<Record<Kind, (random: Random) => SoakUpload>> = {
  tus: (random) => new TusUpload(random),
  'tus-parallel': (random) => new TusParallelUpload(random),
  ietf: (random) => new IetfUpload(random),
  indexedcp: (random) => new IndexedCpUpload(random),
  'indexedcp-id': (random) => new IdentifiedUpload(random),
}

/** Lives one life; `uploads` are those of earlier lives, and new ones are added. */
export async function live(
  plan: LifePlan,
  uploads: SoakUpload[],
  random: Random,
): Promise<LifeOutcome> {
  const life = new Life(plan, uploads, random)
  return life.run()
}

class Life {
  readonly #plan: LifePlan
  readonly #uploads: SoakUpload[]
  readonly #random: Random
  readonly #problems: SoakProblem[] = []
  readonly #child: ChildProcessByStdio<null, Readable, null>
  readonly #exited: Promise<unknown>
  readonly #over = new AbortController()
  #isKilled = false

  constructor(plan: LifePlan, uploads: SoakUpload[], random: Random) {
    this.#plan = plan
    this.#uploads = uploads
    this.#random = random
    const { folder, ack, skewMs, nodeOptions } = plan
    const options: ChildOptions = { ack, skewMs, checkpointMs: CHECKPOINT_MS }
    const args = [...nodeOptions, MAIN, folder, JSON.stringify(options)]
    this.#child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#exited = once(this.#child, 'exit')
  }

  async run(): Promise<LifeOutcome> {
    const { kill } = this.#plan
    const lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
    if (kill?.type === 'starting') void this.#killAfter(kill.ms)
    const { value, done } = await lines.next()
    if (done !== true) await this.#serve(JSON.parse(value) as ChildGreeting)
    else if (!this.#isKilled) this.#complain('start', 'the server ended before it listened')
    if (kill === undefined) {
      this.#child.kill('SIGTERM')
      const farewell = await lines.next()
      if (farewell.value !== '{"failures":[]}') {
        this.#complain('wrong answer', `failures of the server: ${farewell.value}`)
      }
    }
    await this.#exited
    this.#over.abort()
    return { isEarly: done === true, problems: this.#problems }
  }

  async #serve({ port, problems }: ChildGreeting): Promise<void> {
    for (const problem of problems) this.#complain('start', problem)
    await this.#check(port)
    const { kill } = this.#plan
    if (kill?.type === 'receiving') void this.#killAfter(kill.ms)
    if (kill?.type === 'acknowledged') this.#killAt(kill.count)
    const watching = this.#watch()
    const free = new Set(this.#uploads.filter(({ isDone }) => !isDone))
    await Promise.all(LANES.map((kind) => this.#runLane(kind, port, free)))
    this.#over.abort()
    await watching
  }

  // ── Killing

  async #killAfter(ms: number): Promise<void> {
    await wait(ms, undefined, { signal: this.#over.signal }).catch(() => {})
    this.#kill()
  }

  #killAt(count: number): void {
    let left = count
    const note = (): void => {
      left--
      if (left === 0) this.#kill()
    }
    this.#onAcknowledged = note
    for (const upload of this.#uploads) upload.onAcknowledged = note
  }

  #onAcknowledged: () => void = () => {}

  #kill(): void {
    if (this.#child.exitCode !== null) return
    this.#isKilled = true
    this.#child.kill('SIGKILL')
  }

  // ── Clients

  async #check(port: number): Promise<void> {
    using wire = new Wire(port, this.#random)
    for (const upload of this.#uploads) {
      if (upload.isDone) continue
      await this.#attempt(() => upload.check(wire))
    }
  }

  async #runLane(kind: Kind, port: number, free: Set<SoakUpload>): Promise<void> {
    using wire = new Wire(port, this.#random)
    for (;;) {
      const upload = this.#take(kind, free)
      if (upload === undefined || this.#isKilled) return
      while (!upload.isDone && !this.#isKilled) {
        const isWell = await this.#attempt(() => upload.run(wire))
        if (!isWell) return
      }
    }
  }

  /** Nothing new is begun in a life that brings everything to an end. */
  #take(kind: Kind, free: Set<SoakUpload>): SoakUpload | undefined {
    const found = [...free].find((upload) => upload.kind === kind)
    if (found !== undefined) {
      free.delete(found)
      return found
    }
    if (this.#plan.kill === undefined) return undefined
    const upload = MAKE[kind](this.#random)
    upload.onAcknowledged = this.#onAcknowledged
    this.#uploads.push(upload)
    return upload
  }

  /** Whether it may be tried again. */
  async #attempt(work: () => Promise<void>): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      if (error instanceof LostConnection) return true
      const { message } = error as Error
      if (error instanceof NoAnswer) this.#complain('stuck', message)
      else if (!(error instanceof WrongAnswer)) throw error
      else this.#complain(message.includes(': lost: ') ? 'lost' : 'wrong answer', message)
      return false
    }
  }

  // ── Files

  /** Looks again and again whether something stands under its final name before it is whole. */
  async #watch(): Promise<void> {
    const { folder } = this.#plan
    const seen = new Set<string>()
    while (!this.#over.signal.aborted) {
      for (const name of await readdir(folder)) {
        if (seen.has(name) || (name.startsWith('indexedcp-') && !name.startsWith('indexedcp-id-')))
          continue
        const expected = contentByName(name)?.content.length
        if (expected === undefined) continue
        seen.add(name)
        const { size } = await lstat(join(folder, name))
        if (size !== expected) this.#complain('half-finished', `${name} has ${size} bytes`)
      }
      await wait(WATCH_MS, undefined, { signal: this.#over.signal }).catch(() => {})
    }
  }

  #complain(type: SoakProblem['type'], text: string): void {
    this.#problems.push({ type, text })
  }
}

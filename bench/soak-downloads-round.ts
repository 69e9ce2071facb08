/**
 * Plays one round of the soak of downloads: the same command again and again, interrupted as planned,
 * and at last to its end; then looks at what it has left and what it has cost.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { loadResumeRecord } from '../packages/ferry/src/download/resume-record.ts'
import {
  lastModifiedOf,
  RUN_FIELD,
  type SoakNginx,
  type SoakRequest,
} from './soak-downloads-nginx.ts'
import type { Change, Interruption, RoundPlan } from './soak-downloads-plan.ts'
import { type RunEnd, runToEnd } from './soak-downloads-run.ts'
import { type Command, FERRY } from './support.ts'

/** What one interruption has cost, where the file has not changed around it. */
export interface Loss {
  readonly run: string
  readonly signal: Interruption['signal']
  /** What the server has sent in that run, and has to send again. */
  readonly bytes: number
  /** The same in seconds of transfer at the speed of the last second before. */
  readonly seconds: number
}

/** How a round went. */
export interface RoundOutcome {
  readonly kills: number
  /** By Ctrl-C. */
  readonly interrupts: number
  readonly changes: number
  /** Empty when all was well. */
  readonly problems: readonly Problem[]
  readonly losses: readonly Loss[]
}

/** What must not be. */
export interface Problem {
  readonly type: 'corrupt' | 'stuck' | 'failed' | 'leftovers'
  readonly text: string
}

/** A run that was made, with what there was before and after it. */
interface Run {
  readonly name: string
  readonly end: RunEnd
  readonly interruption: Interruption | undefined
  /** Bytes that are kept of the server's file; undefined for those of another version. */
  readonly keptBefore: number | undefined
  readonly keptAfter: number | undefined
  /** The server's file has become another one meanwhile. */
  readonly isChanged: boolean
  /** The finished file is there. */
  readonly isPublished: boolean
}

const EXIT_OK = 0
const EXIT_TARGET_EXISTS = 13
const EXIT_INTERRUPTED = 130
/** nginx notices a closed connection at once, and writes its line then. */
const LOG_DELAY_MS = 300
/** What is told of a wrong file is told by pieces of this size. */
const PIECE_BYTES = 65_536

/** Plays a round in a folder of its own under `parent`. */
export async function playRound(
  plan: RoundPlan,
  { nginx, parent }: { readonly nginx: SoakNginx; readonly parent: string },
): Promise<RoundOutcome> {
  const round = new Round(plan, nginx, join(parent, String(plan.seed)))
  await mkdir(round.folder)
  await round.play()
  return round.outcome()
}

class Round {
  readonly folder: string
  readonly #plan: RoundPlan
  readonly #nginx: SoakNginx
  readonly #runs: Run[] = []
  readonly #problems: Problem[] = []
  /** What the server has had so far, the newest last. */
  readonly #versions: Buffer[] = []
  /** The first one that was there in the last run. */
  #firstValid = 0
  #changes = 0

  constructor(plan: RoundPlan, nginx: SoakNginx, folder: string) {
    this.#plan = plan
    this.#nginx = nginx
    this.folder = folder
  }

  async play(): Promise<void> {
    await this.#put(randomBytes(this.#plan.sizeBytes))
    for (const interruption of [...this.#plan.interruptions, undefined]) {
      const run = await this.#run(interruption)
      this.#runs.push(run)
      this.#checkEnd(run)
      if (this.#problems.length > 0) return
      if (run.isPublished) break
    }
    if (this.#runs.at(-1)?.end.exitCode !== EXIT_OK) await this.#runAfterwards()
    await this.#checkResult()
  }

  async outcome(): Promise<RoundOutcome> {
    await wait(LOG_DELAY_MS)
    const requests = await this.#nginx.requests(`${this.#plan.seed}-`)
    const signals = this.#runs
      .filter(({ end }) => end.signalledAt !== undefined)
      .map(({ interruption }) => interruption?.signal)
    return {
      kills: signals.filter((signal) => signal === 'SIGKILL').length,
      interrupts: signals.filter((signal) => signal === 'SIGINT').length,
      changes: this.#changes,
      problems: this.#problems,
      losses: this.#runs.flatMap((run) => this.#lossOf(run, requests) ?? []),
    }
  }

  async #run(interruption: Interruption | undefined): Promise<Run> {
    const { changeAfterMs, change, maxConnections } = interruption ?? {}
    if (change !== undefined && changeAfterMs === undefined) await this.#change(change)
    const versions = this.#versions.length
    this.#firstValid = versions - 1
    const name = `${this.#plan.seed}-${this.#runs.length}`
    const keptBefore = await this.#keptBytes()
    const over = new AbortController()
    const changing = this.#changeDuring(change, changeAfterMs, over.signal)
    const ending = interruption && { moment: interruption.moment, signal: interruption.signal }
    const end = await runToEnd(this.#command(name, maxConnections), this.folder, ending)
    over.abort()
    await changing
    return {
      name,
      end,
      interruption,
      keptBefore,
      keptAfter: await this.#keptBytes(),
      isChanged: this.#versions.length !== versions,
      isPublished: (await stat(this.#target).catch(() => undefined)) !== undefined,
    }
  }

  /** The file is there, whole, though the run was ended: that has to be so, and nothing else be left. */
  async #runAfterwards(): Promise<void> {
    const name = `${this.#plan.seed}-after`
    const { exitCode, said } = await runToEnd(this.#command(name), this.folder, undefined)
    if (exitCode === EXIT_OK || exitCode === EXIT_TARGET_EXISTS) return
    this.#complain('failed', `the run after a finished one ended with ${exitCode}: ${said}`)
  }

  #command(name: string, maxConnections = this.#plan.maxConnections): Command {
    const { bytesPerSecond, isNamed, seed } = this.#plan
    const output = isNamed ? ['-o', this.#fileName] : []
    const field = ['-H', `${RUN_FIELD}: ${name}`]
    const url = this.#nginx.url(`${seed}.bin`, bytesPerSecond)
    return [...FERRY, 'get', '-q', '-x', String(maxConnections), ...field, ...output, url]
  }

  get #fileName(): string {
    return this.#plan.isNamed ? 'file.bin' : `${this.#plan.seed}.bin`
  }

  get #target(): string {
    return join(this.folder, this.#fileName)
  }

  // ── The server's file

  async #put(content: Buffer): Promise<void> {
    this.#versions.push(content)
    await this.#nginx.put(`${this.#plan.seed}.bin`, content, this.#versions.length)
  }

  async #changeDuring(
    change: Change | undefined,
    afterMs: number | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if (change === undefined || afterMs === undefined) return
    await wait(afterMs, undefined, { signal }).catch(() => {})
    if (!signal.aborted) await this.#change(change)
  }

  #change(change: Change): Promise<void> {
    const current = this.#versions.at(-1) as Buffer
    this.#changes++
    switch (change) {
      case 'touched':
        return this.#put(current)
      case 'same-size':
        return this.#put(randomBytes(current.length))
      case 'other-size': {
        // Now shorter than what is here already, now longer.
        const factor = this.#changes % 2 === 0 ? 1.3 : 0.4
        return this.#put(randomBytes(Math.round(current.length * factor) + 1))
      }
    }
  }

  // ── What is there

  async #keptBytes(): Promise<number | undefined> {
    const record = await loadResumeRecord(`${this.#target}.part.journal`)
    if (record === undefined) return 0
    const isCurrent = record.identity.lastModified === lastModifiedOf(this.#versions.length)
    return isCurrent ? record.spans.bytes : undefined
  }

  #checkEnd({ end, interruption, name, isPublished }: Run): void {
    const { exitCode, signal, said, signalledAt, isStuck } = end
    if (isStuck) {
      this.#complain('stuck', `run ${name} did not end: ${said}`)
      return
    }
    const isEnded =
      signalledAt !== undefined &&
      (signal === interruption?.signal || exitCode === EXIT_INTERRUPTED)
    if ((exitCode === EXIT_OK && isPublished) || isEnded) return
    this.#complain('failed', `run ${name} ended with ${exitCode ?? signal}: ${said}`)
  }

  async #checkResult(): Promise<void> {
    const content = await readFile(this.#target).catch(() => undefined)
    const valid = this.#versions.slice(this.#firstValid)
    if (content === undefined) this.#complain('failed', 'there is no file at the end')
    else if (!valid.some((version) => version.equals(content))) {
      this.#complain('corrupt', describeContent(content, this.#versions))
    }
    const names = await readdir(this.folder)
    const others = names.filter((name) => name !== this.#fileName)
    if (others.length > 0)
      this.#complain('leftovers', `besides the file there are ${others.join(', ')}`)
  }

  #complain(type: Problem['type'], text: string): void {
    this.#problems.push({ type, text: text.trimEnd() })
  }

  /** undefined where nothing was under way, and where what was kept had become worthless. */
  #lossOf(run: Run, requests: readonly SoakRequest[]): Loss | undefined {
    const { end, interruption, keptBefore, keptAfter } = run
    const { signalledAt } = end
    if (signalledAt === undefined || interruption === undefined) return undefined
    if (run.isChanged || run.isPublished) return undefined
    if (keptBefore === undefined || keptAfter === undefined) return undefined
    const own = requests.filter((request) => request.run === run.name)
    if (own.length === 0) return undefined
    const sent = own.reduce((sum, { sentBytes }) => sum + sentBytes, 0)
    const bytes = sent - (keptAfter - keptBefore)
    const speed = Math.max(this.#plan.bytesPerSecond, speedBefore(signalledAt, own))
    return { run: run.name, signal: interruption.signal, bytes, seconds: bytes / speed }
  }
}

/** How many bytes a second the server has sent in the second before `at`, or since it began. */
function speedBefore(at: number, requests: readonly SoakRequest[]): number {
  const from = Math.max(at - 1000, Math.min(...requests.map(({ startedAt }) => startedAt)))
  let bytes = 0
  for (const { startedAt, endedAt, sentBytes } of requests) {
    const withinMs = Math.min(endedAt, at) - Math.max(startedAt, from)
    bytes += sentBytes * Math.max(0, Math.min(1, withinMs / Math.max(1, endedAt - startedAt)))
  }
  return (bytes * 1000) / Math.max(1, at - from)
}

/** From which versions the pieces of a file are, for whoever looks for the mistake. */
function describeContent(content: Buffer, versions: readonly Buffer[]): string {
  const origins: string[] = []
  for (let at = 0; at < content.length; at += PIECE_BYTES) {
    const piece = content.subarray(at, at + PIECE_BYTES)
    const from = versions.findLastIndex((version) =>
      version.subarray(at, at + piece.length).equals(piece),
    )
    const origin = from === -1 ? 'nowhere' : `version ${from + 1}`
    if (!origins.at(-1)?.startsWith(origin)) origins.push(`${origin} from ${at}`)
  }
  return `${content.length} bytes: ${origins.join(', ')}; the server has version ${versions.length} of ${versions.at(-1)?.length} bytes`
}

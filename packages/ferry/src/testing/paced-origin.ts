/**
 * A server and a download that share a clock which a test moves: each tick of 100 ms, every answer
 * sends as much as its speed gives, and the download sees it. However busy the machine is, what
 * happens in a second happens in ten ticks.
 */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as immediate, setTimeout as pause } from 'node:timers/promises'
import { HttpClient } from '../client/http-client.ts'
import type { DownloadOptions, DownloadResult } from '../download/download-options.ts'
import { type Download, download } from '../download/download.ts'
import { FakeClock } from './fake-clock.ts'

const TICK_MS = 100
// What is not a matter of bytes, such as a new request, gets this long in truth, and so many turns of
// the event loop, in which both ends live, after the last connecting and the last work on a file.
const LEAST_MS = 2
const LEAST_TURNS = 25
// Nothing more comes where nothing has come for so long.
const STILL_MS = 5
// A disk may take this long to sync.
const MOST_MS = 1000

/** How one answer behaves. */
export interface Pace {
  readonly bytesPerSecond: number
  /** Silence begins behind so many bytes. @defaultValue never */
  readonly stallsAfter?: number
  /** How long the head takes. @defaultValue 0 */
  readonly headMs?: number
}

/** One request and how far its answer is. */
export interface PacedAnswer {
  readonly start: number
  readonly end: number
  /** When it came, in ms since the server was started. */
  readonly askedAt: number
  hasHead: boolean
  sentBytes: number
  /** Nobody reads it any longer. */
  isClosed: boolean
}

/** Both ends of a download, and their clock. */
export class PacedOrigin implements AsyncDisposable {
  readonly clock = new FakeClock()
  readonly answers: PacedAnswer[] = []
  readonly #content: Buffer
  readonly #paceOf: (index: number) => Pace
  readonly #server = createServer((request, response) => this.#admit(request, response))
  readonly #responses = new Map<PacedAnswer, ServerResponse>()
  readonly #client = new HttpClient()
  readonly #startedAt: number
  #folder = ''

  private constructor(content: Buffer, paceOf: (index: number) => Pace) {
    this.#content = content
    this.#paceOf = paceOf
    this.#startedAt = this.clock.now()
  }

  /** @param paceOf gives the pace of each answer, counted from 0 */
  static async start(content: Buffer, paceOf: (index: number) => Pace): Promise<PacedOrigin> {
    const origin = new PacedOrigin(content, paceOf)
    origin.#folder = await mkdtemp(join(tmpdir(), 'ferry-paced-'))
    await once(origin.#server.listen(0, '127.0.0.1'), 'listening')
    return origin
  }

  /** Since the server was started. */
  get elapsedMs(): number {
    return this.clock.now() - this.#startedAt
  }

  get target(): string {
    return join(this.#folder, 'file.bin')
  }

  /** Downloads, and lets time pass until that has ended, or for `forMs`. */
  async run(options: DownloadOptions = {}, forMs = 120_000): Promise<DownloadResult | undefined> {
    const { port } = this.#server.address() as AddressInfo
    const url = `http://127.0.0.1:${port}/file.bin`
    const run = download(url, this.target, { client: this.#client, clock: this.clock, ...options })
    let hasEnded = false
    run.result.then(
      () => (hasEnded = true),
      () => (hasEnded = true),
    )
    while (this.answers.length === 0 && !hasEnded) await pause(1)
    const until = this.clock.now() + forMs
    while (!hasEnded && this.clock.now() < until) await this.#tick(run)
    if (hasEnded) return await run.result
    await run.cancel()
    return undefined
  }

  /** Lets time pass, and waits until the download has what is sent meanwhile. */
  async #tick(run: Download): Promise<void> {
    const closed = this.#closedCount
    let goal = run.progress().fetchedBytes
    this.clock.advance(TICK_MS)
    for (const [index, answer] of this.answers.entries()) {
      goal += this.#send(answer, this.#paceOf(index))
    }
    let [before, still, idle] = [0, 0, 0]
    for (let turn = 0; turn < LEAST_TURNS; turn++) await immediate()
    for (let ms = 0; ms < MOST_MS; ms++) {
      await pause(1)
      const { fetchedBytes } = run.progress()
      still = fetchedBytes === before ? still + 1 : 0
      before = fetchedBytes
      idle = isAtWork() ? 0 : idle + 1
      // What somebody has lost interest in does not arrive.
      const isLost = this.#closedCount > closed && still >= STILL_MS
      const hasArrived = fetchedBytes >= goal || isLost
      if (run.state === 'verifying') continue
      if (idle >= LEAST_MS && (hasArrived || run.state !== 'running')) return
    }
  }

  get #closedCount(): number {
    return this.answers.filter(({ isClosed }) => isClosed).length
  }

  /** Gives how many bytes that was. */
  #send(answer: PacedAnswer, pace: Pace): number {
    const { bytesPerSecond, stallsAfter = Number.POSITIVE_INFINITY, headMs = 0 } = pace
    const response = this.#responses.get(answer)
    if (response === undefined || answer.isClosed) return 0
    if (this.elapsedMs - answer.askedAt < headMs) return 0
    if (!answer.hasHead) {
      answer.hasHead = true
      response.flushHeaders()
    }
    const from = answer.start + answer.sentBytes
    const wanted = (bytesPerSecond * TICK_MS) / 1000
    const to = Math.min(answer.end, from + wanted, answer.start + stallsAfter)
    answer.sentBytes += to - from
    if (to > from) response.write(this.#content.subarray(from, to))
    if (to === answer.end) response.end()
    return to - from
  }

  #admit(request: IncomingMessage, response: ServerResponse): void {
    const { length } = this.#content
    const match = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '')
    const start = Number(match?.[1] ?? 0)
    const end = Number(match?.[2] ?? length - 1) + 1
    response.writeHead(match === null ? 200 : 206, {
      ETag: '"v1"',
      'Content-Length': end - start,
      ...(match === null ? {} : { 'Content-Range': `bytes ${start}-${end - 1}/${length}` }),
    })
    const askedAt = this.elapsedMs
    const answer = { start, end, askedAt, hasHead: false, sentBytes: 0, isClosed: false }
    response.on('close', () => (answer.isClosed = true))
    this.answers.push(answer)
    this.#responses.set(answer, response)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close()
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
    await rm(this.#folder, { recursive: true, force: true })
  }
}

/** Whether this process waits for its disk, or for a connection to stand. */
function isAtWork(): boolean {
  return process.getActiveResourcesInfo().some((name) => /^(FSReq|TCPConnect)/.test(name))
}

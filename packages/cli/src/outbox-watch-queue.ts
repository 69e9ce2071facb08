/** Sends what a watched folder has given to the outbox, several files at once, each until it is delivered. */
import { unlink } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { isFerryError } from 'ferry/errors'
import type { HttpUrl } from 'ferry/transport'
import type { Outbox, Upload, UploadEvent, UploadOptions, UploadResult } from 'ferry/upload'
import { reasonOf } from './fetch-system-errors.ts'
import { formatDuration } from './format.ts'
import type { Failure } from './get-failure.ts'
import { OutboxReporter } from './outbox-reporter.ts'
import { lookAtFile } from './outbox-watch-scan.ts'
import type { SendOrder } from './send-order.ts'
import { sendAll, sendFromOutbox, type SendRunContext } from './send-run.ts'
import type { SendReporter, SendTask } from './send-task.ts'
import { isTrouble } from './server-trouble.ts'

/** A file of the folder that is in the outbox. */
export interface WatchedItem {
  readonly id: string
  readonly name: string
  readonly path: string
  /** Of its version. */
  readonly identity: string
}

/** What the queue works with. All of it belongs to the caller. */
export interface WatchQueueOptions {
  readonly outbox: Outbox
  readonly url: HttpUrl
  readonly context: SendRunContext
  readonly order: SendOrder
  /** Removes files from the folder once they are delivered. */
  readonly deletesSent: boolean
  /** The version is not there any more: what takes its place is to be sent. */
  readonly onChanged: (item: WatchedItem) => void
  /** Told of what nobody foresaw; the signal of the context is to end all then. */
  readonly onError: (error: unknown) => void
  /** The first wait after a failure; each further one in a row is twice as long. @defaultValue 30,000 ms */
  readonly retryDelayMs?: number
}

const FIRST_RETRY_MS = 30_000
const MAX_RETRY_MS = 600_000

/** `refused`: none of the others would have fared better. */
type ItemOutcome = 'completed' | 'failed' | 'refused'

/** An item and how it went. */
interface QueuedItem extends WatchedItem {
  /** Its place among all, from 1. */
  readonly number: number
  readonly failures: number
}

/** Files on their way. Ends by the signal of its context. */
export class WatchQueue {
  readonly #options: WatchQueueOptions
  readonly #waiting: QueuedItem[] = []
  /** What is being sent, and what waits to be tried again. */
  readonly #running = new Set<Promise<void>>()
  #sending = 0
  #count = 0
  /** How often in a row the server could not be reached, or let nobody in. */
  #refusals = 0
  /** It is given time: nothing is begun. */
  #isHeld = false

  constructor(options: WatchQueueOptions) {
    this.#options = options
  }

  /** Sends each when its turn comes. */
  add(items: readonly WatchedItem[]): void {
    if (items.length === 0) return
    this.#options.context.reporter.begin(items.length)
    for (const item of items) {
      this.#waiting.push({ ...item, number: ++this.#count, failures: 0 })
    }
    this.#sendNext()
  }

  /**
   * Resolves when nothing is on its way any more.
   * @returns how many wait
   */
  async drain(): Promise<number> {
    while (this.#running.size > 0) await Promise.all(this.#running)
    return this.#waiting.length
  }

  #sendNext(): void {
    const { signal, settings } = this.#options.context
    if (this.#isHeld) return
    // One file finds out whether the server takes anything again.
    const atOnce = this.#refusals === 0 ? settings.files : 1
    while (!signal.aborted && this.#sending < atOnce) {
      const item = this.#waiting.shift()
      if (item === undefined) return
      this.#sending++
      this.#track(this.#send(item))
    }
  }

  #track(work: Promise<void>): void {
    const tracked = work.catch(this.#options.onError)
    this.#running.add(tracked)
    void tracked.finally(() => this.#running.delete(tracked))
  }

  async #send(item: QueuedItem): Promise<void> {
    const { context, url, outbox, order } = this.#options
    const { id, name, path, number } = item
    const delayMs = this.#retryDelay(item.failures)
    const reporter = new ItemReporter(context.reporter, number, () => this.#hold())
    const job = order.guard({
      name,
      url,
      path,
      goOn: `It stays in the outbox, and is tried again in ${formatDuration(delayMs)}`,
      send: (options: UploadOptions, onStart: (upload: Upload) => void) =>
        sendFromOutbox(outbox, id, { url, options, onStart }),
      afterFailure: (error: Error) => this.#settleFailure(item, error),
    })
    await sendAll([job], { ...context, reporter })
    this.#sending--
    if (context.signal.aborted) return
    const { outcome } = reporter
    if (outcome === 'refused') this.#waiting.unshift(item)
    else if (outcome !== undefined && !this.#isHeld) this.#refusals = 0
    this.#sendNext()
    if (outcome === 'failed') this.#track(this.#retry(item, delayMs))
    if (outcome === 'completed') await this.#removeSent(item)
  }

  /**
   * Gives the server time, in which no file is tried.
   * @returns for how long, in ms; undefined when that goes on already
   */
  #hold(): number | undefined {
    if (this.#isHeld) return undefined
    this.#isHeld = true
    const delayMs = this.#retryDelay(this.#refusals++)
    this.#track(this.#endHold(delayMs))
    return delayMs
  }

  async #endHold(delayMs: number): Promise<void> {
    const { signal } = this.#options.context
    await sleep(delayMs, undefined, { signal }).catch(() => {})
    // What is on its way then still fails for the reason that was told.
    if (signal.aborted) return
    this.#isHeld = false
    this.#sendNext()
  }

  /** @returns how it is gone on with, where that is another thing than what was said */
  async #settleFailure(item: WatchedItem, error: Error): Promise<string | undefined> {
    if (this.#options.context.signal.aborted) return 'The same command goes on'
    if (isTrouble(error)) return 'It stays in the outbox'
    if (!isFerryError(error, 'source-changed')) return undefined
    // One that stays fails again with the next run, which then removes it.
    await this.#options.outbox.remove(item.id).catch(() => {})
    this.#options.onChanged(item)
    return undefined
  }

  async #retry(item: QueuedItem, delayMs: number): Promise<void> {
    const { signal } = this.#options.context
    await sleep(delayMs, undefined, { signal }).catch(() => {})
    this.#waiting.push({ ...item, failures: item.failures + 1 })
    this.#sendNext()
  }

  #retryDelay(failures: number): number {
    const { retryDelayMs = FIRST_RETRY_MS } = this.#options
    return Math.min(MAX_RETRY_MS, retryDelayMs * 2 ** failures)
  }

  async #removeSent({ path, identity }: WatchedItem): Promise<void> {
    if (!this.#options.deletesSent) return
    // Another version may have taken its place.
    if ((await lookAtFile(path))?.identity !== identity) return
    await unlink(path).catch((cause: NodeJS.ErrnoException) => {
      this.#options.context.reporter.note(`Cannot remove ${path}: ${reasonOf(cause)}`)
    })
  }
}

/** Tells of one item under its number; a change of its file is no failure here. */
class ItemReporter extends OutboxReporter {
  readonly #inner: SendReporter
  readonly #number: number
  /** Gives the server time; undefined when it is given some already, and that was told. */
  readonly #hold: () => number | undefined
  #task: SendTask | undefined
  #outcome: ItemOutcome | undefined

  constructor(inner: SendReporter, number: number, hold: () => number | undefined) {
    super(inner)
    this.#inner = inner
    this.#number = number
    this.#hold = hold
  }

  /** Undefined when nothing is left to be done. */
  get outcome(): ItemOutcome | undefined {
    return this.#outcome
  }

  override begin(): void {}

  override start(task: SendTask): void {
    this.#task = { ...task, number: this.#number }
    this.#inner.start(this.#task)
  }

  override event(task: SendTask, event: UploadEvent): void {
    this.#inner.event(this.#task ?? task, event)
  }

  override stop(task: SendTask): void {
    this.#inner.stop(this.#task ?? task)
  }

  override completed(task: SendTask, result: UploadResult): void {
    this.#outcome = 'completed'
    this.#inner.completed(this.#task ?? task, result)
  }

  protected override tell(failure: Failure): void {
    if (isFerryError(failure.error, 'source-changed')) {
      this.note(`${failure.error.message}; what takes its place is sent when it has come to rest`)
    } else if (isTrouble(failure.error)) {
      this.#outcome = 'refused'
      const delayMs = this.#hold()
      if (delayMs === undefined) return
      this.#inner.failed(failure, this.#number)
      this.note(`All files wait; one of them is tried again in ${formatDuration(delayMs)}`)
    } else {
      this.#outcome = 'failed'
      this.#inner.failed(failure, this.#number)
    }
  }
}

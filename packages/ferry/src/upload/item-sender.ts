/**
 * Sends items of an outbox to one server, several at a time. Each item succeeds or fails by itself,
 * unless what went wrong would go wrong with all of them. How one item is sent is its maker's business.
 */
import { abortable } from '../clock.ts'
import { type ErrorCode, HttpStatusError, isFerryError } from '../errors.ts'
import { callBack } from './call-back.ts'
import type { Outbox, OutboxItem, OutboxLease } from './outbox.ts'
import { SendingOrder } from './sending-order.ts'
import type { Upload } from './upload-handle.ts'
import type { UploadProgress, UploadResult } from './upload-settings.ts'
import { UnansweredError } from './upload-wire.ts'

/** What became of an item. */
export type SentItem =
  /** It is delivered, and gone from the outbox. */
  | { readonly type: 'sent'; readonly item: OutboxItem; readonly result: UploadResult }
  /** It is still in the outbox, with what is needed to go on. */
  | { readonly type: 'failed'; readonly item: OutboxItem; readonly error: unknown }
  /** Another sender has it, or has sent it; or it was taken out of the outbox meanwhile. */
  | { readonly type: 'skipped'; readonly item: OutboxItem }
  /** It was not begun: another one has failed as this one would have. */
  | { readonly type: 'untried'; readonly item: OutboxItem }

/** How one item is sent. */
export interface DeliverOptions {
  readonly url: string
  readonly signal: AbortSignal
  /** Has to be told of the upload when it begins. */
  readonly onStart: (upload: Upload) => void
}

/** What a sender of items works with. */
export interface ItemSenderOptions {
  /** Items that are sent at once; those of one file name go one after another all the same. */
  readonly files: number
  /**
   * Sends what a lease is for, and removes it from the outbox.
   * @returns undefined when it was taken out of the outbox meanwhile
   */
  readonly deliver: (
    lease: OutboxLease,
    options: DeliverOptions,
  ) => Promise<UploadResult | undefined>
  /** Told of how far an item is, at its beginning, about four times a second, and at its end. */
  readonly onProgress?: ((item: OutboxItem, progress: UploadProgress) => void) | undefined
  /** Told what became of an item, as soon as that is known. */
  readonly onOutcome: (outcome: SentItem) => void
}

/** Sends items; the outbox stays its owner's. */
export class ItemSender {
  readonly #outbox: Outbox
  readonly #options: ItemSenderOptions
  readonly #running = new Set<Upload>()
  /** What waits for the end of a pause; undefined while there is none. */
  #pause: PromiseWithResolvers<void> | undefined
  #cancelling = new AbortController()

  constructor(outbox: Outbox, options: ItemSenderOptions) {
    this.#outbox = outbox
    this.#options = options
  }

  /**
   * Sends items, begun in the order given. What cannot be sent stays in the outbox, and the others are
   * sent all the same; the rest is left untried where the server cannot be reached or refuses whoever
   * asks (401), or the outbox itself fails.
   * @returns what became of each item, in the order given
   * @throws `signal.reason`, and an AbortError after `cancel()`: what is under way is given up then
   */
  async send(items: readonly OutboxItem[], url: string, signal: AbortSignal): Promise<SentItem[]> {
    const run = new SendingRun(items, AbortSignal.any([this.#cancelling.signal, signal]))
    const lanes = Math.min(this.#options.files, items.length)
    await Promise.all(Array.from({ length: lanes }, () => this.#runLane(run, url)))
    run.signal.throwIfAborted()
    return items.map((item) => run.outcomes.get(item) ?? this.#tell({ type: 'untried', item }))
  }

  /** Stops what is under way for the time being, and begins nothing; items stay leased. */
  pause(): void {
    this.#pause ??= Promise.withResolvers()
    for (const upload of this.#running) upload.pause()
  }

  /** Goes on after a pause. */
  resume(): void {
    this.#pause?.resolve()
    this.#pause = undefined
    for (const upload of this.#running) upload.resume()
  }

  /** Ends every `send()` with an AbortError, and a pause; later ones are not concerned. */
  cancel(): void {
    this.#cancelling.abort(new DOMException('Sending was cancelled', 'AbortError'))
    this.#cancelling = new AbortController()
    this.resume()
  }

  async #runLane(run: SendingRun, url: string): Promise<void> {
    for (;;) {
      await this.#untilResumed(run)
      if (run.hasEnded) return
      const item = run.order.take()
      if (item === undefined) return
      const outcome = await this.#sendOne(item, url, run)
      // What was given up is no failure of the item.
      if (run.signal.aborted && outcome.type === 'failed') return
      run.outcomes.set(item, this.#tell(outcome))
      run.order.done(item)
      if (outcome.type === 'failed' && concernsAll(outcome.error)) run.hasFailed = true
    }
  }

  async #untilResumed(run: SendingRun): Promise<void> {
    while (this.#pause !== undefined && !run.hasEnded) {
      // What is given up meanwhile ends, too.
      await abortable(this.#pause.promise, run.signal).catch(() => {})
    }
  }

  async #sendOne(item: OutboxItem, url: string, run: SendingRun): Promise<SentItem> {
    let lease: OutboxLease | undefined
    try {
      lease = await this.#outbox.lease(item.id)
    } catch (error) {
      // The outbox cannot be used: no other item would fare better.
      run.hasFailed = true
      return { type: 'failed', item, error }
    }
    if (lease === undefined) return { type: 'skipped', item }
    // No `await using`: not every browser has Symbol.asyncDispose.
    try {
      const result = await this.#deliver(lease, url, run.signal)
      return result === undefined ? { type: 'skipped', item } : { type: 'sent', item, result }
    } catch (error) {
      return { type: 'failed', item, error }
    } finally {
      // What cannot be given back ends by itself.
      await lease.release().catch(() => {})
    }
  }

  async #deliver(
    lease: OutboxLease,
    url: string,
    signal: AbortSignal,
  ): Promise<UploadResult | undefined> {
    const { deliver, onProgress } = this.#options
    const { item } = lease
    let telling: Promise<void> | undefined
    try {
      return await deliver(lease, {
        url,
        signal,
        onStart: (upload) => {
          this.#begin(upload)
          if (onProgress === undefined) return
          telling = tellProgress(upload, (progress) => callBack(onProgress, item, progress))
        },
      })
    } finally {
      await telling
    }
  }

  #begin(upload: Upload): void {
    this.#running.add(upload)
    const end = (): void => void this.#running.delete(upload)
    upload.result.then(end, end)
    if (this.#pause !== undefined) upload.pause()
  }

  #tell(outcome: SentItem): SentItem {
    callBack(this.#options.onOutcome, outcome)
    return outcome
  }
}

/** One call of `send()`. */
class SendingRun {
  readonly order: SendingOrder<OutboxItem>
  readonly outcomes = new Map<OutboxItem, SentItem>()
  readonly signal: AbortSignal
  /** Something is wrong that concerns all items. */
  hasFailed = false

  constructor(items: readonly OutboxItem[], signal: AbortSignal) {
    this.order = new SendingOrder(items)
    this.signal = signal
  }

  get hasEnded(): boolean {
    return this.hasFailed || this.signal.aborted
  }
}

async function tellProgress(
  upload: Upload,
  tell: (progress: UploadProgress) => void,
): Promise<void> {
  for await (const progress of upload) tell(progress)
}

/** The server cannot be reached. */
const UNREACHABLE: ReadonlySet<ErrorCode> = new Set([
  'resolve-failed',
  'connect-failed',
  'proxy-failed',
  'tls-failed',
])

/** Whether what went wrong with one item would go wrong with the others: each may take long to fail. */
function concernsAll(error: unknown): boolean {
  // Who asks is not known to the server, or to a proxy (RFC 9110 §15.5.2, §15.5.8).
  if (error instanceof HttpStatusError) return error.status === 401 || error.status === 407
  if (error instanceof UnansweredError) return true
  if (!isFerryError(error)) return false
  const { code, detail } = error
  if (code === 'timeout') return detail['phase'] === 'connect'
  // The source is the item's own.
  if (code === 'config') return detail['option'] !== 'source'
  return UNREACHABLE.has(code)
}

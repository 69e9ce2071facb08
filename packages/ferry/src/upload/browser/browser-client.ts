/**
 * A client with an outbox for pages and workers: what is added is kept in IndexedDB whatever happens to
 * the page, and sent later, as often as that takes. All tabs of an origin share the outbox; each file
 * is sent by one of them at a time.
 */
import { systemClock } from '../../clock.ts'
import { ConfigError, TransferError } from '../../errors.ts'
import { type ContentInit, toContent } from '../../transport/content.ts'
import { openContent } from '../../transport/request-stream.ts'
import { HttpUrl } from '../../transport/http-url.ts'
import { type BackgroundOptions, BackgroundRounds } from '../background-rounds.ts'
import { BufferedUploadError } from '../buffered-upload-error.ts'
import { type DeliverOptions, ItemSender, type SentItem } from '../item-sender.ts'
import type {
  Outbox,
  OutboxAddOptions,
  OutboxItem,
  OutboxLease,
  OutboxMetadata,
} from '../outbox.ts'
import { resultsByName } from '../results-by-name.ts'
import { StoredSource } from '../stored-source.ts'
import { Upload, type UploadParts } from '../upload-handle.ts'
import type { UploadNote } from '../upload-protocol.ts'
import {
  checkUploadSettings,
  type UploadEvent,
  type UploadProgress,
  type UploadResult,
} from '../upload-settings.ts'
import { blobContent, nameOfBlob, typeOfBlob } from './blob-source.ts'
import { type BrowserUploadOptions, createParts, onOnline, resolveUrl } from './browser-upload.ts'
import { openIndexedDbOutbox } from './indexeddb-outbox.ts'

/** Settings of a client; durations in ms. */
export interface UploadClientOptions extends Omit<
  BrowserUploadOptions,
  'name' | 'type' | 'saved' | 'onNote' | 'onEvent'
> {
  /** One origin may have several outboxes. @defaultValue indexcp */
  readonly dbName?: string | undefined
  /** Another outbox, which stays its owner's to close. */
  readonly outbox?: Outbox | undefined
  /** Files that are sent at once; those of one name go one after another all the same. @defaultValue 1 */
  readonly files?: number | undefined
  /**
   * Keeps what the server has acknowledged until the file is delivered, so that it can be sent anew to
   * a server that has lost it. @defaultValue true
   */
  readonly keepAcknowledged?: boolean | undefined
  /** Told of what happens to a file. */
  readonly onEvent?: ((name: string, event: UploadEvent, id: string) => void) | undefined
  /** Told of how far a file is, at its beginning, about four times a second, and at its end. */
  readonly onProgress?: ((name: string, progress: UploadProgress, id: string) => void) | undefined
  /** Told of a file that is delivered, and gone from the outbox. */
  readonly onComplete?: ((name: string, result: UploadResult, id: string) => void) | undefined
  /** Told of a file that could not be sent; it stays in the outbox. */
  readonly onError?: ((name: string, error: unknown, id: string) => void) | undefined
}

/** How a file is added. */
export interface AddFileOptions extends OutboxAddOptions {
  /** @defaultValue where it stands in the folder that was chosen, else its own name */
  readonly name?: string | undefined
  /** Its media type. @defaultValue that of the File */
  readonly type?: string | undefined
  /** What the server is told beside the name, by tus. */
  readonly metadata?: OutboxMetadata | undefined
}

interface RunningItem {
  readonly upload: Upload
  /** Resolves when its lease may be given back. */
  readonly over: Promise<unknown>
}

/** A client with an outbox. Whoever makes it closes it, or the page ends. */
export class UploadClient implements AsyncDisposable {
  readonly #options: UploadClientOptions
  readonly #parts: Omit<UploadParts, 'openSource' | 'ownsSource'>
  /** By the ids of their items. */
  readonly #running = new Map<string, RunningItem>()
  /** Ids of items that somebody has removed while they were sent. */
  readonly #removed = new Set<string>()
  #outbox: Promise<Outbox> | undefined
  #sender: ItemSender | undefined
  #isPaused = false
  #isClosed = false
  /** Ends the calls that send, those included that have not come so far as to send. */
  #cancelling = new AbortController()
  /** Calls that send. */
  readonly #sending = new Set<Promise<unknown>>()
  #background: BackgroundRounds | undefined

  /** @throws {ConfigError} for an option that cannot be used, and where there is no XMLHttpRequest */
  constructor(options: UploadClientOptions = {}) {
    const { files = 1 } = options
    checkUploadSettings(options)
    if (!Number.isSafeInteger(files) || files < 1) {
      throw new ConfigError('files', `Cannot send ${files} files at once: expected 1 or more`)
    }
    this.#options = options
    this.#parts = createParts(options)
  }

  /** Bytes per second of all files together; undefined for no limit. May be set at any time. */
  get limitBytesPerSecond(): number | undefined {
    return this.#parts.limit.bytesPerSecond
  }

  set limitBytesPerSecond(bytesPerSecond: number | undefined) {
    this.#parts.limit.bytesPerSecond = bytesPerSecond
  }

  /**
   * Copies a file into the outbox. When it resolves the file is kept, also when the page is closed.
   * @throws {TransferError} `no-space` where the browser gives no more room, `source-changed` for a
   * file that has changed since it was chosen: nothing was added
   * @throws {ConfigError} where there is no IndexedDB or no Web Locks
   */
  async addFile(file: Blob, options: AddFileOptions = {}): Promise<OutboxItem> {
    const { name = nameOfBlob(file) ?? 'upload', type = typeOfBlob(file) } = options
    return await this.addStream(blobContent(file, name), name, { ...options, type })
  }

  /** Adds what a stream brings, or bytes of any other kind, under a name; else as `addFile()`. */
  async addStream(
    stream: ContentInit,
    name: string,
    options: Omit<AddFileOptions, 'name'> = {},
  ): Promise<OutboxItem> {
    const outbox = await this.#open()
    const { type, metadata, signal } = options
    const pieces = openContent(toContent(stream), signal)
    const content = { mode: 'stored', pieces } as const
    const [item] = await outbox.add([{ name, type, metadata, content }], options)
    this.#background?.wake()
    return item as OutboxItem
  }

  /**
   * Sends everything that is in the outbox, in the order in which it was added. What cannot be sent
   * stays there, and others are sent all the same; where the server cannot be reached or refuses whoever
   * asks the rest is not tried. What another tab is sending is left to it.
   * @returns by the names that files were added under, those that the server has given them
   * @throws {BufferedUploadError} when not all could be sent; `signal.reason`, and an AbortError after
   * `cancel()`
   */
  async uploadBufferedFiles(
    serverUrl: string | URL,
    signal?: AbortSignal,
  ): Promise<Record<string, string>> {
    const { href } = resolveUrl(serverUrl)
    const signals = [this.#cancelling.signal, this.#options.signal, signal]
    const either = AbortSignal.any(signals.filter((one) => one !== undefined))
    const sending = this.#send(href, either)
    this.#sending.add(sending)
    try {
      const results = resultsByName(await sending)
      if (results.failures.length > 0) throw new BufferedUploadError(results)
      return results.sent
    } finally {
      this.#sending.delete(sending)
    }
  }

  /** Names of what is in the outbox, in order. */
  async getBufferedFiles(): Promise<string[]> {
    return (await this.list()).map(({ name }) => name)
  }

  /** What is in the outbox, in order. */
  async list(): Promise<OutboxItem[]> {
    return await (await this.#open()).list()
  }

  /**
   * Removes everything from the outbox that nobody is sending.
   * @returns how many files were removed
   */
  async clearBuffer(): Promise<number> {
    const outbox = await this.#open()
    let removed = 0
    for (const { id } of await outbox.list()) if (await outbox.remove(id)) removed++
    return removed
  }

  /**
   * Removes one file, also while this client sends it: the server is told to give it up, where it can
   * be told.
   * @returns false when another tab is sending it, or it is not there (any more)
   */
  async removeFile(id: string): Promise<boolean> {
    const running = this.#running.get(id)
    if (running === undefined) return await (await this.#open()).remove(id)
    this.#removed.add(id)
    // Where it cannot be told, the server gives it up by itself.
    await running.upload.cancel({ terminate: true }).catch(() => {})
    await running.over
    return (await (await this.#open()).get(id)) === undefined
  }

  /** Stops what is under way for the time being, and begins nothing, also in the background. */
  pause(): void {
    this.#isPaused = true
    this.#sender?.pause()
  }

  /** Goes on after a pause. */
  resume(): void {
    this.#isPaused = false
    this.#sender?.resume()
  }

  /** Ends what is under way, and a pause; it goes on with the next call, or round in the background. */
  cancel(): void {
    this.#isPaused = false
    this.#cancelling.abort(new DOMException('Sending was cancelled', 'AbortError'))
    this.#cancelling = new AbortController()
    this.#sender?.cancel()
  }

  /**
   * Sends from now on what is in the outbox: at once what is added here, and after each `checkInterval`
   * what other tabs have added or left. Sends at once, too, when the browser is online again.
   * @throws {ConfigError} for a URL that is none
   */
  startUploadBackground(serverUrl: string | URL, options: BackgroundOptions = {}): void {
    this.#throwIfClosed()
    const { href } = resolveUrl(serverUrl)
    const { clock = systemClock, signal } = this.#options
    const cancelling = (): AbortSignal => this.#cancelling.signal
    const round = (stopped: AbortSignal): Promise<unknown> =>
      this.uploadBufferedFiles(href, stopped)
    this.#background ??= new BackgroundRounds(round, {
      ...options,
      clock,
      signal,
      cancelling,
      onOnline,
    })
  }

  /** What is on its way is given up, and goes on the next time. */
  async stopUploadBackground(): Promise<void> {
    const background = this.#background
    this.#background = undefined
    await background?.stop()
  }

  /** Gives up what is under way. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.stopUploadBackground()
    this.cancel()
    // Leases are given back to an outbox that is open.
    await Promise.allSettled(this.#sending)
    const outbox = this.#outbox
    this.#outbox = undefined
    // One that could not be opened was told to whoever wanted it.
    if (this.#options.outbox === undefined) await (await outbox?.catch(() => undefined))?.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #throwIfClosed(): void {
    if (this.#isClosed) throw new TypeError('Cannot use the client: it is closed')
  }

  async #open(): Promise<Outbox> {
    this.#throwIfClosed()
    const { outbox, dbName } = this.#options
    if (outbox !== undefined) return outbox
    this.#outbox ??= openIndexedDbOutbox({ name: dbName })
    try {
      return await this.#outbox
    } catch (error) {
      // What has failed may go well the next time.
      this.#outbox = undefined
      throw error
    }
  }

  async #send(url: string, signal: AbortSignal): Promise<SentItem[]> {
    const outbox = await this.#open()
    const items = await outbox.list()
    signal.throwIfAborted()
    this.#sender ??= this.#createSender(outbox)
    return await this.#sender.send(items, url, signal)
  }

  #createSender(outbox: Outbox): ItemSender {
    const { files = 1, onProgress } = this.#options
    const sender = new ItemSender(outbox, {
      files,
      deliver: (lease, options) => this.#deliver(lease, options),
      onProgress: ({ name, id }, progress) => onProgress?.(name, progress, id),
      onOutcome: (outcome) => this.#tell(outcome),
    })
    if (this.#isPaused) sender.pause()
    return sender
  }

  #tell(outcome: SentItem): void {
    const { onComplete, onError } = this.#options
    const { name, id } = outcome.item
    if (outcome.type === 'sent') onComplete?.(name, outcome.result, id)
    if (outcome.type === 'failed') onError?.(name, outcome.error, id)
  }

  async #deliver(
    lease: OutboxLease,
    { url, signal, onStart }: DeliverOptions,
  ): Promise<UploadResult | undefined> {
    const { id } = lease.item
    const upload = this.#begin(lease, HttpUrl.parse(url), signal)
    const finishing = this.#finish(lease, upload)
    this.#running.set(id, { upload, over: finishing.catch(() => {}) })
    onStart(upload)
    try {
      return await finishing
    } finally {
      this.#running.delete(id)
      this.#removed.delete(id)
    }
  }

  #begin(lease: OutboxLease, url: HttpUrl, signal: AbortSignal): Upload {
    const { id, name, content, note, metadata } = lease.item
    if (content.mode !== 'stored') {
      throw new TransferError(
        'source-changed',
        `Cannot send ${JSON.stringify(name)}: a page cannot read a file by its path`,
      )
    }
    const { onEvent, keepAcknowledged = true } = this.#options
    const source = new StoredSource(lease, content, { keepAcknowledged })
    const openSource = (): Promise<StoredSource> => Promise.resolve(source)
    return new Upload(
      url,
      { ...this.#parts, openSource, ownsSource: true },
      {
        ...this.#options,
        metadata: { ...this.#options.metadata, ...metadata },
        signal,
        saved: (note ?? undefined) as UploadNote | undefined,
        onNote: (next) => lease.setNote(next),
        onEvent: (event) => onEvent?.(name, event, id),
      },
    )
  }

  async #finish(lease: OutboxLease, { result }: Upload): Promise<UploadResult | undefined> {
    try {
      const sent = await result
      await lease.done()
      return sent
    } catch (error) {
      if (!this.#removed.has(lease.item.id)) throw error
      await lease.done()
      return undefined
    }
  }
}

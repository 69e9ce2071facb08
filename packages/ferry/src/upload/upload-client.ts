/**
 * The client of IndexedCP as its document has it, over an outbox: files are added, which keeps them
 * whatever happens, and sent later, as often as that takes.
 */
import { HttpClient } from '../client/http-client.ts'
import { systemClock } from '../clock.ts'
import { ConfigError, TransferError } from '../errors.ts'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import { formatChunk, readChunkAnswer } from '../protocol/upload/indexedcp-messages.ts'
import { RateLimit } from '../transfer/rate-limit.ts'
import type { ContentInit } from '../transport/content.ts'
import { HttpUrl } from '../transport/http-url.ts'
import { ClientWire } from './client-wire.ts'
import { ApiKey } from './api-key.ts'
import { type BackgroundOptions, BackgroundRounds } from './background-rounds.ts'
import { BufferedUploadError } from './buffered-upload-error.ts'
import { toClientError } from './client-errors.ts'
import {
  addContent,
  type AddContentOptions,
  addFile,
  type AddFileOptions,
  addFolder,
  type AddFolderOptions,
} from './outbox-add.ts'
import type { SentItem } from './item-sender.ts'
import type { Outbox, OutboxItem } from './outbox.ts'
import { checkFiles, OutboxSender } from './outbox-sender.ts'
import { MAX_PART_BYTES } from './outbox-parts.ts'
import { resultsByName } from './results-by-name.ts'
import { openSqliteOutbox } from './sqlite-outbox.ts'
import { isSuccess, statusError, UploadHttp } from './upload-http.ts'
import type { UploadClientOptions } from './upload-client-options.ts'
import { checkUploadSettings } from './upload-settings.ts'

export type { BackgroundOptions } from './background-rounds.ts'

/** What a server says of one chunk. */
export interface SentChunk {
  /** Under which the server stores the file; undefined when it does not say. */
  readonly actualFilename: string | undefined
  readonly alreadyReceived: boolean
}

const DEFAULT_CHUNK_SIZE = 1_048_576
const DEFAULT_RETRIES = 3
const DEFAULT_RETRY_DELAY_MS = 1000
const STALL_TIMEOUT_MS = 60_000

/**
 * A client with an outbox. Whoever makes it closes it.
 *
 * Names are those of the document as TypeScript spells them: `db_name` is `dbName`, `add_file()` is
 * `addFile()`, `api_key` is `apiKey`. Durations are in ms where the document has seconds:
 * `initial_retry_delay=1.0` is `initialRetryDelay: 1000`.
 */
export class UploadClient implements AsyncDisposable {
  /** Bytes of a chunk. */
  readonly chunkSize: number
  readonly #options: UploadClientOptions
  readonly #client: HttpClient
  readonly #limit: RateLimit
  readonly #apiKey: ApiKey
  #outbox: Promise<Outbox> | undefined
  #sender: OutboxSender | undefined
  #isPaused = false
  #isClosed = false
  /** What `send()` is at. */
  readonly #sending = new Set<Promise<unknown>>()
  #background: BackgroundRounds | undefined
  /** Ends the calls that send, those included that have not come so far as to send. */
  #cancelling = new AbortController()

  /** @throws {ConfigError} for an option that cannot be used */
  constructor(options: UploadClientOptions = {}) {
    const { chunkSize = DEFAULT_CHUNK_SIZE, files, apiKey, clock = systemClock } = options
    if (!Number.isSafeInteger(chunkSize) || chunkSize < 1) {
      throw new ConfigError('chunkSize', `Cannot use ${chunkSize} as chunkSize: expected 1 or more`)
    }
    checkFiles(files)
    checkUploadSettings(options)
    this.chunkSize = chunkSize
    this.#options = options
    this.#limit = new RateLimit(options.limitBytesPerSecond, options.limit)
    this.#apiKey = new ApiKey(apiKey)
    this.#client = new HttpClient({ clock })
  }

  /** The key that the server wants; undefined for what INDEXCP_API_KEY has. May be set at any time. */
  get apiKey(): string | undefined {
    return this.#apiKey.value
  }

  set apiKey(key: string | undefined) {
    this.#apiKey.value = key
  }

  /** Bytes per second of all files together; undefined for no limit. May be set at any time. */
  get limitBytesPerSecond(): number | undefined {
    return this.#limit.bytesPerSecond
  }

  set limitBytesPerSecond(bytesPerSecond: number | undefined) {
    this.#limit.bytesPerSecond = bytesPerSecond
  }

  /**
   * Adds a file to the outbox. When it resolves the file is kept, whatever happens. A file that is
   * added twice is sent twice.
   * @returns the number of its chunks; 0 for one without bytes, which is sent all the same
   * @throws {ConfigError} path, when it is not there, or no file; {TransferError} as the outbox does
   */
  async addFile(path: string, options: Omit<AddFileOptions, 'partBytes'> = {}): Promise<number> {
    return this.#chunksOf(await this.#addFile(path, options))
  }

  /**
   * Adds every file of a folder and of those in it, all of them or none, as `photos/2026/a.jpg`.
   * @returns how many files that are
   * @throws as `addFile()`
   */
  async addFolder(
    path: string,
    options: Omit<AddFolderOptions, 'partBytes'> = {},
  ): Promise<number> {
    const partBytes = this.#partBytes
    return (await addFolder(await this.#open(), path, { ...options, partBytes })).length
  }

  /** Adds what a stream brings, or bytes of any other kind, under a name; else as `addFile()`. */
  async addStream(
    stream: ContentInit,
    name: string,
    options: Omit<AddContentOptions, 'partBytes'> = {},
  ): Promise<number> {
    const partBytes = this.#partBytes
    return this.#chunksOf(
      await addContent(await this.#open(), name, stream, { ...options, partBytes }),
    )
  }

  /**
   * Sends everything that is in the outbox, begun in the order in which it was added; what cannot be
   * sent stays there, and the others are sent all the same. Where the server cannot be reached or
   * refuses the key the rest is not tried. What another process is sending is left to it.
   *
   * Of several files of one name the first stands in the result under it, the others under
   * `name (2)`, `name (3)`.
   * @returns by the names that files were added under, those that the server has given them, or the
   * same name where it does not say
   * @throws {BufferedUploadError} when not all could be sent: with `code` and `status` of the first
   * failure, and in `sent` what would have been returned
   * @throws `signal.reason`, and an AbortError after `cancel()` or `close()`
   */
  async uploadBufferedFiles(
    serverUrl: string,
    signal?: AbortSignal,
  ): Promise<Record<string, string>> {
    const items = async (): Promise<OutboxItem[]> => await (await this.#open()).list()
    const { sent, failures, untried } = resultsByName(await this.#send(items, serverUrl, signal))
    if (failures.length > 0) throw new BufferedUploadError({ sent, failures, untried })
    return sent
  }

  /**
   * Adds a file and sends it at once; when that fails it stays in the outbox.
   * @returns the name that the server has given it, or its own where the server does not say
   * @throws {HttpStatusError}, other {NetworkError}s, {TransferError}, as `upload()` does; `locked` when
   * another process has begun to send it
   */
  async bufferAndUpload(path: string, serverUrl: string, signal?: AbortSignal): Promise<string> {
    const add = async (): Promise<OutboxItem[]> => [await this.#addFile(path, { signal })]
    const [outcome] = (await this.#send(add, serverUrl, signal)) as [SentItem]
    const { item } = outcome
    if (outcome.type === 'failed') throw outcome.error
    if (outcome.type === 'sent') return outcome.result.remoteName ?? item.name
    const outbox = await this.#open()
    if ((await outbox.get(item.id)) === undefined) return item.name
    throw new TransferError(
      'locked',
      `Cannot send ${JSON.stringify(item.name)}: another process is sending it already`,
    )
  }

  /**
   * Sends one chunk past the outbox, once: whoever calls this looks after order and repetition.
   * @throws {NetworkError}
   */
  uploadChunk(
    serverUrl: string,
    data: Uint8Array,
    chunk: { readonly index: number; readonly fileName: string },
  ): Promise<SentChunk>
  /** As the document has it. */
  uploadChunk(
    serverUrl: string,
    data: Uint8Array,
    index: number,
    fileName: string,
  ): Promise<SentChunk>
  async uploadChunk(
    serverUrl: string,
    data: Uint8Array,
    ...where:
      | readonly [chunk: { readonly index: number; readonly fileName: string }]
      | readonly [index: number, fileName: string]
  ): Promise<SentChunk> {
    const [chunk, fileName] = where
    const { index, fileName: name } = typeof chunk === 'object' ? chunk : { index: chunk, fileName }
    const url = HttpUrl.parse(serverUrl)
    const answer = await this.#httpFor(url).request({
      method: 'POST',
      url,
      headers: formatChunk({ index, name: name as string }),
      content: data,
      signal: this.#options.signal ?? new AbortController().signal,
    })
    if (!isSuccess(answer)) {
      const error = statusError(`send a chunk to ${url.label}`, answer)
      const told = toClientError(error, this.#apiKey.known)
      if (answer.status === 401) this.#apiKey.forgetTyped()
      throw told
    }
    const { storedName, alreadyReceived } = readChunkAnswer(answer.text)
    return { actualFilename: storedName, alreadyReceived }
  }

  /** Names of what is in the outbox, in the order of adding; twice where it was added twice. */
  async getBufferedFiles(): Promise<string[]> {
    return (await (await this.#open()).list()).map(({ name }) => name)
  }

  /**
   * Removes everything from the outbox that nobody is sending.
   * @returns how many files were removed
   */
  async clearBuffer(): Promise<number> {
    const outbox = await this.#open()
    const items = await outbox.list()
    const removed = await Promise.all(items.map(({ id }) => outbox.remove(id)))
    return removed.filter(Boolean).length
  }

  /**
   * The property `apiKey`, else what INDEXCP_API_KEY has, else what somebody types at the terminal.
   * @throws {ConfigError} apiKey, when there is nobody to ask
   */
  getApiKey(): Promise<string> {
    return this.#apiKey.get()
  }

  /** Stops what is under way for the time being, and begins nothing, also in the background. */
  pause(): void {
    this.#isPaused = true
    this.#sender?.pause()
  }

  /** Goes on after a pause where it was. */
  resume(): void {
    this.#isPaused = false
    this.#sender?.resume()
  }

  /**
   * Gives up what is under way, and ends a pause: calls reject with an AbortError, and files stay in the
   * outbox. Sending in the background goes on with its next round.
   */
  cancel(): void {
    this.#isPaused = false
    this.#cancelling.abort(new DOMException('Sending was cancelled', 'AbortError'))
    this.#cancelling = new AbortController()
    this.#sender?.cancel()
  }

  /**
   * Sends from now on what is in the outbox, round after round, until it is stopped. Nothing happens
   * where that is under way already.
   * @throws {ConfigError} for a URL that is none
   */
  startUploadBackground(serverUrl: string, options: BackgroundOptions = {}): void {
    this.#throwIfClosed()
    HttpUrl.parse(serverUrl)
    const { clock = systemClock, signal } = this.#options
    const cancelling = (): AbortSignal => this.#cancelling.signal
    const round = (stopped: AbortSignal): Promise<unknown> =>
      this.uploadBufferedFiles(serverUrl, stopped)
    this.#background ??= new BackgroundRounds(round, { ...options, clock, signal, cancelling })
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
    await this.#sender?.close()
    // Leases are given back to an outbox that is open.
    await Promise.allSettled(this.#sending)
    // One that could not be opened was told to whoever wanted it.
    const outbox = await this.#outbox?.catch(() => undefined)
    this.#outbox = undefined
    if (this.#options.outbox === undefined) await outbox?.close()
    await this.#client.close()
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
    this.#outbox ??= openSqliteOutbox({ name: dbName })
    try {
      return await this.#outbox
    } catch (error) {
      // Another process may have kept it to itself: the next call tries again.
      this.#outbox = undefined
      throw error
    }
  }

  async #addFile(path: string, options: AddFileOptions): Promise<OutboxItem> {
    return await addFile(await this.#open(), path, { ...options, partBytes: this.#partBytes })
  }

  /** Chunks may be larger than what an outbox keeps in one. */
  get #partBytes(): number {
    return Math.min(this.chunkSize, MAX_PART_BYTES)
  }

  #chunksOf({ size }: OutboxItem): number {
    return Math.ceil(size / this.chunkSize)
  }

  /** @param find gives what is to be sent */
  async #send(
    find: () => Promise<OutboxItem[]>,
    serverUrl: string,
    signal: AbortSignal | undefined,
  ): Promise<SentItem[]> {
    const signals = [this.#cancelling.signal, this.#options.signal, signal]
    const either = AbortSignal.any(signals.filter((one) => one !== undefined))
    const sending = this.#sendFound(find, serverUrl, either)
    this.#sending.add(sending)
    try {
      return await sending
    } finally {
      this.#sending.delete(sending)
    }
  }

  async #sendFound(
    find: () => Promise<OutboxItem[]>,
    serverUrl: string,
    signal: AbortSignal,
  ): Promise<SentItem[]> {
    const items = await find()
    signal.throwIfAborted()
    this.#sender ??= this.#createSender(await this.#open())
    return await this.#sender.send(items, serverUrl, signal)
  }

  #createSender(outbox: Outbox): OutboxSender {
    const { initialRetryDelay, maxRetries, client } = this.#options
    const { onEvent, onProgress, onComplete, onError } = this.#options
    const sender = new OutboxSender(outbox, {
      ...this.#options,
      client: client ?? this.#client,
      // The limit that is shared has it.
      limitBytesPerSecond: undefined,
      limit: this.#limit,
      chunkBytes: this.#options.chunkSize,
      maxRetries: maxRetries ?? DEFAULT_RETRIES,
      retryDelayMs: initialRetryDelay ?? DEFAULT_RETRY_DELAY_MS,
      provideCredentials: () => this.#apiKey.provide(),
      toFailure: (error) => toClientError(error, this.#apiKey.known),
      onEvent: ({ name, id }, event) => onEvent?.(name, event, id),
      onProgress: onProgress && (({ name, id }, progress) => onProgress(name, progress, id)),
      onOutcome: (outcome) => {
        const { name, id } = outcome.item
        if (outcome.type === 'sent') onComplete?.(name, outcome.result, id)
        if (outcome.type === 'failed') onError?.(name, outcome.error, id)
      },
    })
    if (this.#isPaused) sender.pause()
    return sender
  }

  #httpFor(endpoint: HttpUrl): UploadHttp {
    const { client, headers, clock = systemClock } = this.#options
    return new UploadHttp({
      wire: new ClientWire({
        client: client ?? this.#client,
        limit: this.#limit,
        clock,
        stallTimeoutMs: this.#options.stallTimeoutMs ?? STALL_TIMEOUT_MS,
        answerTimeoutMs: this.#options.answerTimeoutMs ?? STALL_TIMEOUT_MS,
      }),
      endpoint,
      headers: HeaderFields.from(headers),
      credentials: this.#apiKey.provide(),
    })
  }
}

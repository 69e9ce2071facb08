/**
 * The client of IndexedCP as its document has it, over an outbox: files are added, which keeps them
 * whatever happens, and sent later, as often as that takes.
 */
import { HttpClient } from '../client/http-client.ts'
import { ConfigError } from '../errors.ts'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import { formatChunk, readChunkAnswer } from '../protocol/upload/indexedcp-messages.ts'
import { RateLimit } from '../transfer/rate-limit.ts'
import type { ContentInit } from '../transport/content.ts'
import { HttpUrl } from '../transport/http-url.ts'
import { systemClock, wait } from '../clock.ts'
import { addContent, addFile } from './outbox-add.ts'
import type { Outbox, OutboxItem } from './outbox.ts'
import { promptSecret } from './prompt-secret.ts'
import { sendItem } from './send-item.ts'
import { openSqliteOutbox } from './sqlite-outbox.ts'
import { type CredentialProvider, isSuccess, statusError, UploadHttp } from './upload-http.ts'
import type { UploadEvent, UploadOptions } from './upload-options.ts'

/** Settings of a client, under the names of the document; durations in ms. */
export interface UploadClientOptions extends Omit<
  UploadOptions,
  'name' | 'type' | 'saved' | 'onNote' | 'onEvent' | 'chunkBytes' | 'retryDelayMs' | 'credentials'
> {
  /** The outbox is `~/.indexcp/<dbName>.db`. @defaultValue indexcp */
  readonly dbName?: string | undefined
  /** An outbox elsewhere, which stays its owner's to close. */
  readonly outbox?: Outbox | undefined
  /** Bytes of a chunk. @defaultValue 1 MiB */
  readonly chunkSize?: number | undefined
  /** The first wait between tries, doubled with each. @defaultValue 1000 */
  readonly initialRetryDelay?: number | undefined
  /** @defaultValue what INDEXCP_API_KEY has; else it is asked for at the terminal, once it is needed */
  readonly apiKey?: string | undefined
  /** Told of what happens to each file, by the name that it was added under. */
  readonly onEvent?: ((name: string, event: UploadEvent) => void) | undefined
  /** Told of a file that could not be sent; it stays in the outbox. */
  readonly onError?: ((name: string, error: unknown) => void) | undefined
}

/** What a server says of one chunk. */
export interface SentChunk {
  /** Under which the server stores the file; undefined when it does not say. */
  readonly actualFilename: string | undefined
  readonly alreadyReceived: boolean
}

const DEFAULT_CHUNK_SIZE = 1_048_576
const DEFAULT_RETRIES = 3
const DEFAULT_RETRY_DELAY_MS = 1000
const DEFAULT_CHECK_INTERVAL_MS = 5000
const STALL_TIMEOUT_MS = 60_000

/** A client with an outbox. Whoever makes it closes it. */
export class UploadClient implements AsyncDisposable {
  /** May be set at any time. */
  apiKey: string | undefined
  readonly #options: UploadClientOptions
  readonly #client: HttpClient
  readonly #chunkSize: number
  #outbox: Promise<Outbox> | undefined
  #asking: Promise<string> | undefined
  #background: { readonly stop: AbortController; readonly done: Promise<void> } | undefined

  /** @throws {ConfigError} chunkSize */
  constructor(options: UploadClientOptions = {}) {
    const { chunkSize = DEFAULT_CHUNK_SIZE } = options
    if (!Number.isSafeInteger(chunkSize) || chunkSize < 1) {
      throw new ConfigError('chunkSize', `Cannot use ${chunkSize} as chunkSize: expected 1 or more`)
    }
    this.#options = options
    this.#chunkSize = chunkSize
    this.apiKey = options.apiKey
    this.#client = new HttpClient({ clock: options.clock ?? systemClock })
  }

  /**
   * Adds a file to the outbox. When it resolves the file is kept, whatever happens.
   * @returns the number of its chunks; 0 for one without bytes, which is sent all the same
   * @throws {ConfigError} when it is not there, or no file; {TransferError} as the outbox does
   */
  async addFile(path: string): Promise<number> {
    const item = await addFile(await this.#open(), path, { partBytes: this.#chunkSize })
    return this.#chunksOf(item)
  }

  /** Adds what a stream brings, or bytes of any other kind, under a name; else as `addFile()`. */
  async addStream(stream: ContentInit, name: string): Promise<number> {
    const outbox = await this.#open()
    return this.#chunksOf(await addContent(outbox, name, stream, { partBytes: this.#chunkSize }))
  }

  /**
   * Sends everything that is in the outbox, in the order in which it was added; what cannot be sent
   * stays there, and others are sent all the same.
   * @returns by the names that files were added under, those that the server has given them
   * @throws the first failure, when all were tried
   */
  async uploadBufferedFiles(
    serverUrl: string,
    signal?: AbortSignal,
  ): Promise<Record<string, string>> {
    const sent: Record<string, string> = {}
    const failures: unknown[] = []
    for (const item of await (await this.#open()).list()) {
      signal?.throwIfAborted()
      try {
        const remoteName = await this.#sendOne(item.id, serverUrl, signal)
        if (remoteName !== undefined) sent[item.name] = remoteName
      } catch (error) {
        signal?.throwIfAborted()
        this.#options.onError?.(item.name, error)
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
    return sent
  }

  /**
   * Adds a file and sends it at once; when that fails it stays in the outbox.
   * @returns the name that the server has given it
   */
  async bufferAndUpload(path: string, serverUrl: string): Promise<string> {
    const item = await addFile(await this.#open(), path, { partBytes: this.#chunkSize })
    return (await this.#sendOne(item.id, serverUrl)) ?? item.name
  }

  /**
   * Sends one chunk past the outbox, once: whoever calls this looks after order and repetition.
   * @throws {NetworkError}
   */
  async uploadChunk(
    serverUrl: string,
    data: Uint8Array,
    { index, fileName }: { readonly index: number; readonly fileName: string },
  ): Promise<SentChunk> {
    const url = HttpUrl.parse(serverUrl)
    const answer = await this.#httpFor(url).request({
      method: 'POST',
      url,
      headers: formatChunk({ index, name: fileName }),
      content: data,
      signal: this.#options.signal ?? new AbortController().signal,
    })
    if (!isSuccess(answer)) throw statusError(`send a chunk to ${url.label}`, answer)
    const { storedName, alreadyReceived } = readChunkAnswer(answer.text)
    return { actualFilename: storedName, alreadyReceived }
  }

  /** Names of what is in the outbox, in order. */
  async getBufferedFiles(): Promise<string[]> {
    return (await (await this.#open()).list()).map(({ name }) => name)
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
   * The property `apiKey`, else what INDEXCP_API_KEY has, else what somebody types at the terminal.
   * @throws {ConfigError} apiKey, when there is nobody to ask
   */
  async getApiKey(): Promise<string> {
    const known = this.apiKey ?? process.env['INDEXCP_API_KEY']
    if (known !== undefined && known !== '') return known
    // Several uploads may need it at a time.
    this.#asking ??= promptSecret('API key: ', 'apiKey').finally(() => (this.#asking = undefined))
    this.apiKey = await this.#asking
    return this.apiKey
  }

  /** Sends from now on what is in the outbox, and looks again after each `checkInterval` ms. */
  startUploadBackground(
    serverUrl: string,
    { checkInterval = DEFAULT_CHECK_INTERVAL_MS }: { readonly checkInterval?: number } = {},
  ): void {
    if (this.#background !== undefined) return
    const stop = new AbortController()
    this.#background = { stop, done: this.#uploadUntil(serverUrl, checkInterval, stop.signal) }
  }

  /** What is on its way is given up, and goes on the next time. */
  async stopUploadBackground(): Promise<void> {
    const background = this.#background
    this.#background = undefined
    background?.stop.abort()
    await background?.done
  }

  /** Idempotent. */
  async close(): Promise<void> {
    await this.stopUploadBackground()
    const outbox = this.#outbox
    this.#outbox = undefined
    if (this.#options.outbox === undefined) await (await outbox)?.close()
    await this.#client.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #open(): Promise<Outbox> {
    const { outbox, dbName } = this.#options
    this.#outbox ??=
      outbox === undefined ? openSqliteOutbox({ name: dbName }) : Promise.resolve(outbox)
    return this.#outbox
  }

  #chunksOf({ size }: OutboxItem): number {
    return Math.ceil(size / this.#chunkSize)
  }

  /** @returns undefined when somebody else is sending it, or has sent it */
  async #sendOne(id: string, serverUrl: string, signal?: AbortSignal): Promise<string | undefined> {
    const outbox = await this.#open()
    await using lease = await outbox.lease(id)
    if (lease === undefined) return undefined
    const { name } = lease.item
    const { chunkSize, initialRetryDelay, maxRetries, onEvent } = this.#options
    const { dbName: _, outbox: __, apiKey: ___, onError: ____, ...rest } = this.#options
    const signals = [this.#options.signal, signal].filter((one) => one !== undefined)
    const { remoteName } = await sendItem(lease, serverUrl, {
      ...rest,
      client: this.#options.client ?? this.#client,
      chunkBytes: chunkSize,
      maxRetries: maxRetries ?? DEFAULT_RETRIES,
      retryDelayMs: initialRetryDelay ?? DEFAULT_RETRY_DELAY_MS,
      credentials: this.#credentials,
      signal: AbortSignal.any(signals),
      onEvent: (event) => onEvent?.(name, event),
    })
    return remoteName ?? name
  }

  readonly #credentials: CredentialProvider = async () => ({
    Authorization: `Bearer ${await this.getApiKey()}`,
  })

  #httpFor(endpoint: HttpUrl): UploadHttp {
    const { client, headers, limitBytesPerSecond, limit, clock = systemClock } = this.#options
    return new UploadHttp({
      client: client ?? this.#client,
      endpoint,
      headers: HeaderFields.from(headers),
      credentials: this.#credentials,
      limit: new RateLimit(limitBytesPerSecond, limit),
      clock,
      stallTimeoutMs: this.#options.stallTimeoutMs ?? STALL_TIMEOUT_MS,
      answerTimeoutMs: this.#options.answerTimeoutMs ?? STALL_TIMEOUT_MS,
    })
  }

  async #uploadUntil(serverUrl: string, intervalMs: number, signal: AbortSignal): Promise<void> {
    const { clock = systemClock } = this.#options
    while (!signal.aborted) {
      // Each failure was told; the next round tries again.
      await this.uploadBufferedFiles(serverUrl, signal).catch(() => {})
      await wait(intervalMs, signal, clock).catch(() => {})
    }
  }
}

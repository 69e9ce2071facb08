/** Sends items of an outbox to one server, several at a time over one client and under one limit. */
import { HttpClient } from '../client/http-client.ts'
import { systemClock } from '../clock.ts'
import { ConfigError } from '../errors.ts'
import { RateLimit } from '../transfer/rate-limit.ts'
import { type DeliverOptions, ItemSender, type SentItem } from './item-sender.ts'
import type { Outbox, OutboxItem, OutboxLease } from './outbox.ts'
import { sendItem, type SendItemOptions } from './send-item.ts'
import type { CredentialProvider } from './upload-http.ts'
import type { UploadEvent, UploadProgress, UploadResult } from './upload-options.ts'
import type { UploadProtocolName } from './upload-protocol.ts'

/** How items are sent. Options of an upload hold for each of them, but for the limit. */
export interface OutboxSenderOptions extends Omit<
  SendItemOptions,
  'signal' | 'onEvent' | 'onStart'
> {
  /**
   * Items that are sent at once. Those of one file name go one after another all the same.
   * @defaultValue 1
   */
  readonly files?: number | undefined
  /** Bytes per second of all together; can be changed while they are sent. @defaultValue no limit */
  readonly limitBytesPerSecond?: number | undefined
  /** Makes a provider of credentials for each item, in place of `credentials`. */
  readonly provideCredentials?: (() => CredentialProvider) | undefined
  /** Puts what an item has failed with into the words of whoever sends. */
  readonly toFailure?: ((error: unknown) => unknown) | undefined
  /** Told of what happens to an item. */
  readonly onEvent?: ((item: OutboxItem, event: UploadEvent) => void) | undefined
  /** Told of how far an item is, at its beginning, about four times a second, and at its end. */
  readonly onProgress?: ((item: OutboxItem, progress: UploadProgress) => void) | undefined
  /** Told what became of an item, as soon as that is known. */
  readonly onOutcome?: ((outcome: SentItem) => void) | undefined
}

/** Sends items. Whoever makes it closes it; the outbox stays its owner's. */
export class OutboxSender implements AsyncDisposable {
  readonly #options: OutboxSenderOptions
  readonly #own: HttpClient | undefined
  readonly #limit: RateLimit
  readonly #sender: ItemSender
  /** What servers were found to speak, by URL: not every item has to ask. */
  readonly #spoken = new Map<string, UploadProtocolName>()

  /** @throws {ConfigError} files, bytesPerSecond */
  constructor(outbox: Outbox, options: OutboxSenderOptions = {}) {
    const { files, client, clock = systemClock, onProgress } = options
    this.#options = options
    this.#limit = new RateLimit(options.limitBytesPerSecond, options.limit)
    this.#sender = new ItemSender(outbox, {
      files: checkFiles(files),
      deliver: (lease, how) => this.#deliver(lease, how),
      onProgress,
      onOutcome: (outcome) => options.onOutcome?.(outcome),
    })
    this.#own = client === undefined ? new HttpClient({ clock }) : undefined
  }

  /** Bytes per second of all items together; undefined for no limit. May be set at any time. */
  get limitBytesPerSecond(): number | undefined {
    return this.#limit.bytesPerSecond
  }

  set limitBytesPerSecond(bytesPerSecond: number | undefined) {
    this.#limit.bytesPerSecond = bytesPerSecond
  }

  /**
   * Sends items, begun in the order given. What cannot be sent stays in the outbox, and the others are
   * sent all the same; the rest is left untried where the server cannot be reached or refuses whoever
   * asks (401), or the outbox itself fails.
   * @returns what became of each item, in the order given
   * @throws `signal.reason`, and an AbortError after `cancel()`: what is under way is given up then
   */
  send(items: readonly OutboxItem[], url: string, signal?: AbortSignal): Promise<SentItem[]> {
    return this.#sender.send(items, url, signal ?? new AbortController().signal)
  }

  /** Stops what is under way for the time being, and begins nothing; items stay leased. */
  pause(): void {
    this.#sender.pause()
  }

  /** Goes on after a pause. */
  resume(): void {
    this.#sender.resume()
  }

  /** Ends every `send()` with an AbortError, and a pause; later ones are not concerned. */
  cancel(): void {
    this.#sender.cancel()
  }

  /** Gives up what is under way. Idempotent. */
  async close(): Promise<void> {
    this.cancel()
    await this.#own?.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #deliver(
    lease: OutboxLease,
    { url, signal, onStart }: DeliverOptions,
  ): Promise<UploadResult> {
    const { protocol, client, credentials, provideCredentials, toFailure, onEvent } = this.#options
    const { item } = lease
    // An item that was begun goes on as it has noted.
    const isNew = (item.note ?? undefined) === undefined
    try {
      const result = await sendItem(lease, url, {
        ...this.#options,
        protocol: protocol ?? (isNew ? this.#spoken.get(url) : undefined),
        client: client ?? this.#own,
        credentials: provideCredentials?.() ?? credentials,
        // The limit that is shared has it.
        limitBytesPerSecond: undefined,
        limit: this.#limit,
        signal,
        onStart,
        onEvent: (event) => onEvent?.(item, event),
      })
      this.#spoken.set(url, result.protocol)
      return result
    } catch (error) {
      throw toFailure?.(error) ?? error
    }
  }
}

/** @throws {ConfigError} files */
export function checkFiles(files: number = 1): number {
  if (Number.isSafeInteger(files) && files >= 1) return files
  throw new ConfigError('files', `Cannot send ${files} files at once: expected 1 or more`)
}

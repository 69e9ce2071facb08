/** An upload as its user sees it: state, events, progress, pause and resume. The work is in upload-run.ts. */
import { fileURLToPath } from 'node:url'
import { HttpClient } from '../client/http-client.ts'
import { type Clock, systemClock, wait } from '../clock.ts'
import { TransferError } from '../errors.ts'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import { RateLimit } from '../transfer/rate-limit.ts'
import { SpeedMeter } from '../transfer/speed-meter.ts'
import { HttpUrl } from '../transport/http-url.ts'
import { FileSource } from './file-source.ts'
import { MemorySource } from './memory-source.ts'
import { patienceOf, type UploadPatience } from './retry-upload.ts'
import { StreamSource } from './stream-source.ts'
import { UploadHttp } from './upload-http.ts'
import {
  checkUploadOptions,
  protocolSettingsOf,
  type UploadEvent,
  type UploadOptions,
  type UploadProgress,
  type UploadResult,
  type UploadState,
} from './upload-options.ts'
import type { UploadNote } from './upload-protocol.ts'
import { Drained, type FinishedRun, UploadRun } from './upload-run.ts'
import type { UploadSource } from './upload-source.ts'

/**
 * What can be sent: a path, or a URL with `file:`; bytes or a Blob, which must not change meanwhile; a
 * stream, which is read once; or a source of one's own, which stays its maker's to close.
 */
export type UploadInput =
  | string
  | URL
  | Uint8Array
  | Blob
  | AsyncIterable<Uint8Array>
  | UploadSource

// As often as a display can use it.
const PROGRESS_INTERVAL_MS = 250
const DEFAULT_STALL_TIMEOUT_MS = 60_000
// A server may hold a digest against all that has come before it answers.
const DEFAULT_ANSWER_TIMEOUT_MS = 300_000

/**
 * Starts to send `input` to the server at `url`: the URL where uploads are created or, by IndexedCP,
 * chunks are taken.
 * @throws {ConfigError} at once, for a URL or option that cannot be used; everything else comes
 * through `result`
 */
export function upload(
  input: UploadInput,
  url: string | URL | HttpUrl,
  options: UploadOptions = {},
): Upload {
  return new Upload(input, HttpUrl.parse(url), options)
}

/** Ends a run that is to go on later. */
class Pause extends Error {}

/** A running upload. Looked at with `for await`, it gives its progress four times a second. */
export class Upload implements AsyncIterable<UploadProgress> {
  readonly url: HttpUrl
  /**
   * Settles at the end. Rejects with a FerryError, or with the signal's reason; what the server has is
   * kept there for another run with `saved`.
   */
  readonly result: Promise<UploadResult>
  readonly #input: UploadInput
  readonly #options: UploadOptions
  readonly #patience: UploadPatience
  readonly #clock: Clock
  readonly #limit: RateLimit
  readonly #meter = new SpeedMeter()
  readonly #listeners = new Set<(event: UploadEvent) => void>()
  readonly #client: {
    readonly client: NonNullable<UploadOptions['client']>
    readonly close: () => Promise<void>
  }
  readonly #http: UploadHttp
  #source: UploadSource | undefined
  #state: UploadState = 'queued'
  #run: UploadRun | undefined
  #note: UploadNote | undefined
  #resumedBytes: number | undefined
  /** Ends the run that is under way. */
  #stopping = new AbortController()
  #resumed = Promise.withResolvers<void>()
  /** Why, once it was cancelled. */
  #cancelled: Error | undefined

  /** @internal use upload() */
  constructor(input: UploadInput, url: HttpUrl, options: UploadOptions) {
    checkUploadOptions(options)
    this.url = url
    this.#input = input
    this.#options = options
    this.#patience = patienceOf(options)
    this.#clock = options.clock ?? systemClock
    this.#limit = new RateLimit(options.limitBytesPerSecond, options.limit)
    const headers = HeaderFields.from(options.headers)
    const own = options.client === undefined ? new HttpClient({ clock: this.#clock }) : undefined
    this.#client = {
      client: options.client ?? (own as HttpClient),
      close: async () => await own?.close(),
    }
    this.#http = new UploadHttp({
      client: this.#client.client,
      endpoint: url,
      headers,
      credentials: options.credentials,
      limit: this.#limit,
      clock: this.#clock,
      stallTimeoutMs: options.stallTimeoutMs ?? DEFAULT_STALL_TIMEOUT_MS,
      answerTimeoutMs: options.answerTimeoutMs ?? DEFAULT_ANSWER_TIMEOUT_MS,
    })
    this.result = this.#runToEnd()
    this.result.catch(() => {})
  }

  get state(): UploadState {
    return this.#state
  }

  /** What another run needs to go on; undefined before there is something to go on with. */
  get note(): UploadNote | undefined {
    return this.#note
  }

  /** Bytes per second that this upload may take; undefined for no limit. May be set at any time. */
  get limitBytesPerSecond(): number | undefined {
    return this.#limit.bytesPerSecond
  }

  set limitBytesPerSecond(bytesPerSecond: number | undefined) {
    this.#limit.bytesPerSecond = bytesPerSecond
  }

  /** Is told of events from now on; the function that is returned ends that. */
  onEvent(listener: (event: UploadEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Stops for the time being; nothing for one that has ended. To a server that cannot tell what it
   * has, the chunk that is on its way is sent first.
   */
  pause(): void {
    if (!['queued', 'running', 'waiting'].includes(this.#state)) return
    this.#resumed = Promise.withResolvers()
    this.#setState('paused')
    this.#run?.drain()
    if (this.#run?.protocol?.isInterruptible !== false) this.#stopping.abort(new Pause('paused'))
  }

  /** Goes on after a pause. */
  resume(): void {
    if (this.#state !== 'paused') return
    this.#setState('queued')
    this.#resumed.resolve()
  }

  /**
   * Ends it for good: `result` rejects with an AbortError. What the server has stays there for another
   * run, unless `terminate`. Resolves when it has ended.
   * @throws {NetworkError} when the server cannot be told to give it up
   */
  async cancel({ terminate = false }: { readonly terminate?: boolean } = {}): Promise<void> {
    if (!this.#hasEnded) {
      const reason = new DOMException('The upload was cancelled', 'AbortError')
      this.#cancelled = reason
      this.#setState('cancelled')
      this.#stopping.abort(reason)
      this.#resumed.resolve()
    }
    await this.result.catch(() => {})
    if (!terminate || this.#state === 'completed') return
    try {
      await this.#run?.terminate(new AbortController().signal)
    } finally {
      await this.#client.close()
    }
  }

  /** How far it is; call it about as often as it is shown, since speed is measured between calls. */
  progress(): UploadProgress {
    const run = this.#run
    const size = this.#source?.size
    const sentBytes = run?.sentBytes ?? 0
    const { transmittedBytes } = this.#http
    this.#meter.note(this.#clock.now(), transmittedBytes)
    const { bytesPerSecond } = this.#meter
    return {
      state: this.#state,
      protocol: run?.protocol?.name,
      size,
      acknowledgedBytes: run?.acknowledgedBytes ?? 0,
      sentBytes,
      resumedBytes: this.#resumedBytes ?? run?.resumedBytes ?? 0,
      transmittedBytes,
      expiresAt: run?.protocol?.expiresAt,
      bytesPerSecond,
      remainingSeconds:
        size === undefined || bytesPerSecond === 0
          ? undefined
          : (size - sentBytes) / bytesPerSecond,
    }
  }

  /** Looks every 250 ms, and once at the end; failures come through `result` only. */
  async *[Symbol.asyncIterator](): AsyncGenerator<UploadProgress, void> {
    const end = new AbortController()
    this.result.then(
      () => end.abort(),
      () => end.abort(),
    )
    while (!end.signal.aborted) {
      yield this.progress()
      await wait(PROGRESS_INTERVAL_MS, end.signal, this.#clock).catch(() => {})
    }
    yield this.progress()
  }

  get #hasEnded(): boolean {
    return ['completed', 'failed', 'cancelled'].includes(this.#state)
  }

  async #runToEnd(): Promise<UploadResult> {
    const { signal } = this.#options
    const startedAt = this.#clock.now()
    // Nothing is told before the caller can listen.
    await Promise.resolve()
    const onAbort = (): void => {
      this.#stopping.abort(signal?.reason)
      this.#resumed.resolve()
    }
    signal?.addEventListener('abort', onAbort)
    try {
      for (;;) {
        const finished = await this.#runOnce()
        if (finished !== undefined) return this.#resultOf(finished, startedAt)
        await this.#resumed.promise
      }
    } catch (error) {
      if (!this.#hasEnded) this.#setState('failed')
      throw error
    } finally {
      signal?.removeEventListener('abort', onAbort)
      await this.#close()
    }
  }

  /** undefined when it was paused. */
  async #runOnce(): Promise<FinishedRun | undefined> {
    this.#options.signal?.throwIfAborted()
    this.#throwIfCancelled()
    if (this.#state === 'paused') return undefined
    this.#stopping = new AbortController()
    const { signal } = this.#stopping
    this.#setState('running')
    try {
      this.#source ??= await openSource(this.#input, this.#options)
      // It may have been paused while the file was looked at.
      signal.throwIfAborted()
      this.#run = this.#createRun(this.#source)
      const finished = await this.#run.run(signal)
      this.#resumedBytes ??= this.#run.resumedBytes
      this.#setState('completed')
      return finished
    } catch (error) {
      this.#throwIfCancelled()
      const isPause = signal.reason instanceof Pause || error instanceof Drained
      if (!isPause) throw signal.aborted ? (signal.reason as Error) : error
      // What this run has brought is no earlier run's.
      this.#resumedBytes ??= this.#run?.resumedBytes
      return undefined
    }
  }

  #createRun(source: UploadSource): UploadRun {
    this.#note ??= this.#usableNote(source)
    return new UploadRun({
      endpoint: this.url,
      source,
      http: this.#http,
      protocol: this.#options.protocol,
      settings: protocolSettingsOf(this.#options),
      patience: this.#patience,
      clock: this.#clock,
      saved: this.#note,
      onNote: (note) => this.#keepNote(note),
      onEvent: (event) => this.#tell(event),
      onWaiting: (isWaiting) => this.#noteWaiting(isWaiting),
    })
  }

  /** What an earlier run has noted, unless it is of something else. */
  #usableNote({ fingerprint, size, name }: UploadSource): UploadNote | undefined {
    const { saved, protocol } = this.#options
    if (saved === undefined) return undefined
    const isSame =
      saved.endpoint === this.url.href &&
      saved.protocol === (protocol ?? saved.protocol) &&
      fingerprint !== undefined &&
      saved.fingerprint === fingerprint &&
      (saved.size === undefined || saved.size === size)
    if (isSame) return saved
    const error = new TransferError(
      'source-changed',
      `Cannot go on sending ${JSON.stringify(name)}: what was noted is of another version or server`,
    )
    this.#tell({ type: 'restart', error })
    return undefined
  }

  async #keepNote(note: UploadNote): Promise<void> {
    this.#note = note
    await this.#options.onNote?.(note)
  }

  #noteWaiting(isWaiting: boolean): void {
    if (isWaiting && this.#state === 'running') this.#setState('waiting')
    if (!isWaiting && this.#state === 'waiting') this.#setState('running')
  }

  #resultOf({ protocol, name, url }: FinishedRun, startedAt: number): UploadResult {
    const source = this.#source as UploadSource
    return {
      protocol,
      name: source.name,
      remoteName: name,
      uploadUrl: url,
      size: source.size ?? 0,
      transmittedBytes: this.#http.transmittedBytes,
      resumedBytes: this.#resumedBytes ?? 0,
      elapsedMs: this.#clock.now() - startedAt,
    }
  }

  async #close(): Promise<void> {
    if (this.#source !== this.#input) await this.#source?.close()
    // One that was cancelled may still have to tell the server.
    if (this.#cancelled === undefined) await this.#client.close()
  }

  #throwIfCancelled(): void {
    if (this.#cancelled !== undefined) throw this.#cancelled
  }

  #setState(state: UploadState): void {
    this.#state = state
    this.#tell({ type: 'state', state })
  }

  #tell(event: UploadEvent): void {
    this.#options.onEvent?.(event)
    for (const listener of this.#listeners) listener(event)
  }
}

async function openSource(input: UploadInput, options: UploadOptions): Promise<UploadSource> {
  const { name, type, chunkBytes } = options
  if (typeof input === 'string') return await FileSource.open(input, { name, type })
  if (input instanceof URL) return await FileSource.open(fileURLToPath(input), { name, type })
  if (isSource(input)) return input
  const named = { name: name ?? nameOfBlob(input) ?? 'upload', type }
  if (input instanceof Uint8Array || input instanceof Blob) return new MemorySource(input, named)
  return new StreamSource(input, { ...named, maxPieceBytes: chunkBytes })
}

function isSource(input: Exclude<UploadInput, string | URL>): input is UploadSource {
  return 'prepare' in input && 'content' in input && 'release' in input
}

function nameOfBlob(input: object): string | undefined {
  return 'name' in input && typeof input.name === 'string' ? input.name : undefined
}

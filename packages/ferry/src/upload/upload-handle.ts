/** An upload as its user sees it: state, events, progress, pause and resume. The work is in upload-run.ts. */
import { type Clock, systemClock, wait } from '../clock.ts'
import { TransferError } from '../errors.ts'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import type { RateLimit } from '../transfer/rate-limit.ts'
import { SpeedMeter } from '../transfer/speed-meter.ts'
import type { HttpUrl } from '../transport/http-url.ts'
import { callBack } from './call-back.ts'
import { patienceOf, type UploadPatience } from './retry-upload.ts'
import type { CreateHash } from './source-digest.ts'
import { UploadHttp } from './upload-http.ts'
import type { UploadNote } from './upload-protocol.ts'
import { Drained, type FinishedRun, UploadRun } from './upload-run.ts'
import {
  protocolSettingsOf,
  type UploadEvent,
  type UploadProgress,
  type UploadResult,
  type UploadSettings,
  type UploadState,
} from './upload-settings.ts'
import type { UploadSource } from './upload-source.ts'
import type { UploadWire } from './upload-wire.ts'

/** What an upload is made of: what differs between Node and a browser. */
export interface UploadParts {
  /** Called once, when it begins. */
  readonly openSource: () => Promise<UploadSource>
  /** Whether the upload closes the source. */
  readonly ownsSource: boolean
  readonly wire: UploadWire
  /** Called when no request comes for now; perhaps several times. */
  readonly closeWire: () => Promise<void>
  /** What the wire goes by. */
  readonly limit: RateLimit
  readonly createHash: CreateHash
  /** Where something tells that the network is back: calls until the function that it returns is. */
  readonly onOnline?: ((callback: () => void) => () => void) | undefined
}

// As often as a display can use it.
const PROGRESS_INTERVAL_MS = 250

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
  readonly #parts: UploadParts
  readonly #options: UploadSettings
  readonly #patience: UploadPatience
  readonly #clock: Clock
  readonly #meter = new SpeedMeter()
  readonly #listeners = new Set<(event: UploadEvent) => void>()
  readonly #http: UploadHttp
  #source: UploadSource | undefined
  #state: UploadState = 'queued'
  #run: UploadRun | undefined
  /** The last one before it that got so far as to know what the server has. */
  #earlierRun: UploadRun | undefined
  #note: UploadNote | undefined
  #resumedBytes: number | undefined
  /** Ends the run that is under way. */
  #stopping = new AbortController()
  #resumed = Promise.withResolvers<void>()
  /** Why, once it was cancelled. */
  #cancelled: Error | undefined

  /** @internal use upload() */
  constructor(url: HttpUrl, parts: UploadParts, options: UploadSettings) {
    this.url = url
    this.#parts = parts
    this.#options = options
    this.#patience = patienceOf(options)
    this.#clock = options.clock ?? systemClock
    const { wire } = parts
    const { credentials } = options
    const headers = HeaderFields.from(options.headers)
    this.#http = new UploadHttp({ wire, endpoint: url, headers, credentials })
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
    return this.#parts.limit.bytesPerSecond
  }

  set limitBytesPerSecond(bytesPerSecond: number | undefined) {
    this.#parts.limit.bytesPerSecond = bytesPerSecond
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
    // A listener may pause again at once, which is another pause.
    const { resolve } = this.#resumed
    this.#setState('queued')
    resolve()
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
      await this.#openedRun?.terminate(new AbortController().signal)
    } finally {
      await this.#parts.closeWire()
    }
  }

  /** How far it is; call it about as often as it is shown, since speed is measured between calls. */
  progress(): UploadProgress {
    const run = this.#openedRun
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

  /** After a pause, the run before it until the server has been asked again. */
  get #openedRun(): UploadRun | undefined {
    return this.#run?.hasOpened === true ? this.#run : (this.#earlierRun ?? this.#run)
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
    this.#earlierRun = this.#openedRun
    this.#run = undefined
    this.#stopping = new AbortController()
    const { signal } = this.#stopping
    this.#setState('running')
    try {
      this.#source ??= await this.#parts.openSource()
      // It may have been paused while the file was looked at.
      signal.throwIfAborted()
      const run = this.#createRun(this.#source)
      this.#run = run
      const finished = await run.run(signal)
      this.#resumedBytes ??= run.resumedBytes
      this.#setState('completed')
      return finished
    } catch (error) {
      this.#throwIfCancelled()
      const isPause = signal.reason instanceof Pause || error instanceof Drained
      if (!isPause) throw signal.aborted ? (signal.reason as Error) : error
      // What this run has brought is no earlier run's.
      if (this.#run?.hasOpened === true) this.#resumedBytes ??= this.#run.resumedBytes
      return undefined
    }
  }

  #createRun(source: UploadSource): UploadRun {
    this.#note ??= this.#usableNote(source)
    return new UploadRun({
      endpoint: this.url,
      source,
      http: this.#http,
      createHash: this.#parts.createHash,
      protocol: this.#options.protocol,
      settings: protocolSettingsOf(this.#options),
      patience: this.#patience,
      clock: this.#clock,
      saved: this.#note,
      onNote: (note) => this.#keepNote(note),
      onEvent: (event) => this.#tell(event),
      onWaiting: (isWaiting) => this.#noteWaiting(isWaiting),
      onOnline: this.#parts.onOnline,
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
    if (this.#parts.ownsSource) await this.#source?.close()
    await this.#parts.closeWire()
  }

  #throwIfCancelled(): void {
    if (this.#cancelled !== undefined) throw this.#cancelled
  }

  #setState(state: UploadState): void {
    this.#state = state
    this.#tell({ type: 'state', state })
  }

  #tell(event: UploadEvent): void {
    callBack(this.#options.onEvent, event)
    for (const listener of this.#listeners) callBack(listener, event)
  }
}

/** A download as its user sees it: state, events, progress, pause and resume. The work is in download-run.ts. */
import { stat } from 'node:fs/promises'
import { resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { statSync } from 'node:fs'
import { type Clock, systemClock, wait } from '../clock.ts'
import { HttpUrl } from '../transport/http-url.ts'
import { RateLimit } from '../transfer/rate-limit.ts'
import { SpeedMeter } from '../transfer/speed-meter.ts'
import {
  checkOptions,
  type DownloadEvent,
  type DownloadOptions,
  type DownloadProgress,
  type DownloadResult,
  type DownloadState,
} from './download-options.ts'
import { DownloadRun } from './download-run.ts'
import type { FileFetch } from './file-fetch.ts'
import { PART_SUFFIX, PartPlace } from './part-place.ts'

// As often as a display can use it.
const PROGRESS_INTERVAL_MS = 250

/**
 * Starts a download of `url` into `target`: a path, or a URL with `file:`; or a folder, one that exists or is written with a
 * separator at its end, into which the file goes under the name that the server gives.
 * @throws {ConfigError} at once, for a URL or option that cannot be used; everything else comes
 * through `result`
 */
export function download(
  url: string | URL,
  target: string | URL,
  options: DownloadOptions = {},
): Download {
  return new Download(
    [url, ...(options.mirrors ?? [])].map((one) => HttpUrl.parse(one)),
    target instanceof URL ? fileURLToPath(target) : target,
    options,
  )
}

/** Ends a run that is to go on later. */
class Pause extends Error {}

/** A running download. Looked at with `for await`, it gives its progress four times a second. */
export class Download implements AsyncIterable<DownloadProgress> {
  readonly url: HttpUrl
  /**
   * Settles at the end. Rejects with a FerryError, or with the signal's reason; what has come is
   * then kept for the next run.
   */
  readonly result: Promise<DownloadResult>
  readonly #urls: readonly HttpUrl[]
  readonly #target: { readonly path: string; readonly isFolder: boolean }
  readonly #options: DownloadOptions
  readonly #clock: Clock
  readonly #limit: RateLimit
  readonly #meter = new SpeedMeter()
  readonly #listeners = new Set<(event: DownloadEvent) => void>()
  #state: DownloadState = 'queued'
  #place: PartPlace | undefined
  #run: DownloadRun | undefined
  #lastFetch: FileFetch | undefined
  /** Ends the run that is under way. */
  #stopping = new AbortController()
  #resumed = Promise.withResolvers<void>()
  /** By runs before a pause. */
  #fetchedBefore = 0
  #resumedBytes: number | undefined
  /** Why, once it was cancelled. */
  #cancelled: Error | undefined

  /** @internal use download() */
  constructor(urls: readonly HttpUrl[], target: string, options: DownloadOptions) {
    checkOptions(options)
    this.#urls = urls
    this.url = urls[0] as HttpUrl
    this.#target = { path: resolve(target), isFolder: isFolder(target) }
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#limit = new RateLimit(options.limitBytesPerSecond, options.limit)
    this.result = this.#runToEnd()
    this.result.catch(() => {})
  }

  get state(): DownloadState {
    return this.#state
  }

  /** Where the finished file will be; the folder, until the server has said what it is called. */
  get target(): string {
    return this.#place?.target ?? this.#target.path
  }

  /** Where its bytes are until then. */
  get partPath(): string {
    return this.#place?.partPath ?? this.target + PART_SUFFIX
  }

  /** Bytes per second that this download may take; undefined for no limit. May be set at any time. */
  get limitBytesPerSecond(): number | undefined {
    return this.#limit.bytesPerSecond
  }

  set limitBytesPerSecond(bytesPerSecond: number | undefined) {
    this.#limit.bytesPerSecond = bytesPerSecond
  }

  /** Is told of events from now on; the function that is returned ends that. */
  onEvent(listener: (event: DownloadEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Stops for the time being, and keeps what has come; nothing for one that has ended. */
  pause(): void {
    if (this.#state !== 'queued' && this.#state !== 'running') return
    this.#resumed = Promise.withResolvers()
    this.#setState('paused')
    this.#stopping.abort(new Pause('paused'))
  }

  /** Goes on after a pause. */
  resume(): void {
    if (this.#state !== 'paused') return
    // A listener may pause it again at once, which is the next pause.
    const { resolve } = this.#resumed
    this.#setState('queued')
    resolve()
  }

  /**
   * Ends it for good: `result` rejects with an AbortError. What has come is kept for another
   * download, unless `deleteFiles`, which also goes for one that has failed; a finished target is
   * never touched. Resolves when it has ended.
   */
  async cancel({ deleteFiles = false }: { readonly deleteFiles?: boolean } = {}): Promise<void> {
    if (!this.#hasEnded) {
      const reason = new DOMException('The download was cancelled', 'AbortError')
      this.#cancelled = reason
      this.#setState('cancelled')
      this.#stopping.abort(reason)
      this.#resumed.resolve()
    }
    await this.result.catch(() => {})
    if (deleteFiles && this.#state !== 'completed') await this.#leftoverPlace?.discardIfFree()
  }

  /** How far it is; call it about as often as it is shown, since speed is measured between calls. */
  progress(): DownloadProgress {
    // Between two runs, what the last one has brought is still here.
    const fetch = this.#run?.fetch ?? this.#lastFetch
    const size = fetch?.identity?.size
    const receivedBytes = fetch?.heldBytes ?? 0
    this.#meter.note(this.#clock.now(), this.#fetchedBytes)
    const { bytesPerSecond } = this.#meter
    return {
      state: this.#state,
      size,
      receivedBytes,
      resumable: fetch?.isResumable ?? false,
      resumedBytes: this.#resumedBytes ?? this.#run?.resumedBytes ?? 0,
      fetchedBytes: this.#fetchedBytes,
      bytesPerSecond,
      remainingSeconds:
        size === undefined || bytesPerSecond === 0
          ? undefined
          : (size - receivedBytes) / bytesPerSecond,
      connections: this.#state === 'running' ? (fetch?.connections ?? []) : [],
    }
  }

  /** Looks every 250 ms, and once at the end; failures come through `result` only. */
  async *[Symbol.asyncIterator](): AsyncGenerator<DownloadProgress, void> {
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

  /** Where an earlier run may have left something; undefined where that is not known yet. */
  get #leftoverPlace(): PartPlace | undefined {
    const { path, isFolder } = this.#target
    return this.#place ?? (isFolder ? undefined : new PartPlace(path))
  }

  get #hasEnded(): boolean {
    return ['completed', 'failed', 'cancelled'].includes(this.#state)
  }

  get #fetchedBytes(): number {
    return this.#fetchedBefore + (this.#run?.fetchedBytes ?? 0)
  }

  async #runToEnd(): Promise<DownloadResult> {
    const { signal } = this.#options
    // Nothing is told before the caller can listen.
    await Promise.resolve()
    const onAbort = (): void => {
      this.#stopping.abort(signal?.reason)
      this.#resumed.resolve()
    }
    signal?.addEventListener('abort', onAbort)
    try {
      for (;;) {
        const result = await this.#runOnce()
        if (result !== undefined) return result
        await this.#resumed.promise
      }
    } catch (error) {
      if (!this.#hasEnded) this.#setState('failed')
      throw error
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** undefined when it was paused. */
  async #runOnce(): Promise<DownloadResult | undefined> {
    this.#options.signal?.throwIfAborted()
    this.#throwIfCancelled()
    if (this.#state === 'paused') return undefined
    this.#fetchedBefore = this.#fetchedBytes
    this.#lastFetch = this.#run?.fetch ?? this.#lastFetch
    this.#stopping = new AbortController()
    const { signal } = this.#stopping
    this.#run = this.#createRun()
    this.#setState('running')
    try {
      const result = await this.#run.run(signal)
      this.#setState('completed')
      const resumedBytes = this.#resumedBytes ?? result.resumedBytes
      return { ...result, fetchedBytes: this.#fetchedBytes, resumedBytes }
    } catch (error) {
      this.#throwIfCancelled()
      if (!(signal.reason instanceof Pause)) throw error
      // What this run has brought is no earlier run's.
      this.#resumedBytes ??= this.#run.resumedBytes
      return undefined
    }
  }

  #throwIfCancelled(): void {
    if (this.#cancelled !== undefined) throw this.#cancelled
  }

  #createRun(): DownloadRun {
    return new DownloadRun({
      urls: this.#urls,
      // Once it has a name, it keeps it.
      target:
        this.#place === undefined ? this.#target : { path: this.#place.target, isFolder: false },
      options: {
        ...this.#options,
        // What is there after a pause is its own.
        fresh: this.#options.fresh === true && this.#lastFetch === undefined,
        onEvent: (event) => this.#tell(event),
      },
      clock: this.#clock,
      limit: this.#limit,
      onVerifying: () => this.#setState('verifying'),
      onPlace: (place) => this.#notePlace(place),
    })
  }

  #notePlace(place: PartPlace): void {
    const isNew = this.#place?.target !== place.target && place.target !== this.#target.path
    this.#place = place
    if (isNew) this.#tell({ type: 'named', path: place.target })
  }

  #setState(state: DownloadState): void {
    this.#state = state
    this.#tell({ type: 'state', state })
  }

  #tell(event: DownloadEvent): void {
    this.#options.onEvent?.(event)
    for (const listener of this.#listeners) listener(event)
  }
}

function isFolder(target: string): boolean {
  if (target.endsWith('/') || target.endsWith(sep)) return true
  try {
    return statSync(target).isDirectory()
  } catch {
    // Whatever is wrong with it shows when it is written.
    return false
  }
}

/** Whether an earlier run has left something to go on with for this target. */
export async function partialFileExists(target: string): Promise<boolean> {
  const part = await stat(resolve(target) + PART_SUFFIX).catch(() => undefined)
  return part?.isFile() === true
}

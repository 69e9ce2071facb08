/**
 * One run of an upload, from asking the server what it has to the end: sends pieces, as many at once as
 * the protocol says, and deals with what goes wrong by retry-upload.ts. Knows no protocol by itself.
 *
 *     open → send … (recover → send) … → finish
 *        └──────── restart ────────┘
 */
import { type Clock, wait } from '../clock.ts'
import { HttpStatusError, UploadError } from '../errors.ts'
import type { Span } from '../transfer/span.ts'
import type { HttpUrl } from '../transport/http-url.ts'
import { createProtocol } from './discover-protocol.ts'
import {
  decideUpload,
  type UploadDecision,
  type UploadPatience,
  type UploadStep,
  type WaitReason,
} from './retry-upload.ts'
import type { CreateHash } from './source-digest.ts'
import type { UploadHttp } from './upload-http.ts'
import type { UploadEvent } from './upload-settings.ts'
import {
  type NoteState,
  type ProtocolSettings,
  type RemoteFile,
  UploadGone,
  type UploadJob,
  type UploadNote,
  type UploadProtocol,
  type UploadProtocolName,
} from './upload-protocol.ts'
import type { UploadSource } from './upload-source.ts'

/** What a run works with; all of it belongs to the caller. */
export interface UploadRunOptions {
  readonly endpoint: HttpUrl
  readonly source: UploadSource
  readonly http: UploadHttp
  readonly createHash: CreateHash
  readonly protocol: UploadProtocolName | undefined
  readonly settings: ProtocolSettings
  readonly patience: UploadPatience
  readonly clock: Clock
  /** Of the same source and endpoint. */
  readonly saved: UploadNote | undefined
  readonly onNote: (note: UploadNote) => Promise<void>
  readonly onEvent: (event: UploadEvent) => void
  /** Told when a wait begins, and when it ends. */
  readonly onWaiting: (isWaiting: boolean) => void
  /** Where something tells that the network is back: calls until the function that it returns is. */
  readonly onOnline: ((callback: () => void) => () => void) | undefined
}

/** What a finished run has brought. */
export interface FinishedRun extends RemoteFile {
  readonly protocol: UploadProtocolName
}

/** Failures in a row of one lane: of several that break together, each counts one. */
interface Tries {
  failures: number
  /** What had been acknowledged by then. */
  advances: number
}

interface StepOptions {
  readonly signal: AbortSignal
  readonly tries: Tries
}

const WAITS_FOR_NETWORK: ReadonlySet<WaitReason> = new Set([
  'offline',
  'connection-lost',
  'timeout',
])

/** Ended because it was asked to; the pieces on their way were finished. */
export class Drained extends Error {}

/** One run; `run()` may be called once. */
export class UploadRun {
  readonly #options: UploadRunOptions
  #protocol: UploadProtocol | undefined
  /** Pieces that are on their way, and how much of each has been handed on. */
  readonly #busy = new Map<Span, number>()
  /** Grows whenever the server acknowledges something. */
  #advances = 0
  #refusals = 0
  #restarts = 0
  #waiting = 0
  #resumedBytes = 0
  #hasOpened = false
  #isDraining = false
  /** Ends waits when draining. */
  readonly #draining = new AbortController()

  constructor(options: UploadRunOptions) {
    this.#options = options
  }

  /** Undefined until it is known. */
  get protocol(): UploadProtocol | undefined {
    return this.#protocol
  }

  /** Whether it is known what the server has. */
  get hasOpened(): boolean {
    return this.#hasOpened
  }

  get acknowledgedBytes(): number {
    return this.#protocol?.held.bytes ?? 0
  }

  /** Acknowledged, or on their way. */
  get sentBytes(): number {
    let bytes = this.acknowledgedBytes
    for (const handed of this.#busy.values()) bytes += handed
    return Math.min(bytes, this.#options.source.size ?? bytes)
  }

  /** Bytes that were there when the run began. */
  get resumedBytes(): number {
    return this.#resumedBytes
  }

  /** Ends the run as soon as no piece would have to be given up for that: `run()` rejects with {Drained}. */
  drain(): void {
    this.#isDraining = true
    this.#draining.abort(new Drained('drained'))
  }

  /**
   * @throws {Drained} after `drain()`
   * @throws what cannot be dealt with, and `signal.reason`
   */
  async run(signal: AbortSignal): Promise<FinishedRun> {
    let { saved } = this.#options
    for (;;) {
      try {
        return await this.#runOnce(saved, signal)
      } catch (error) {
        if (!(error instanceof UploadGone)) throw error
        this.#restart(error)
        saved = undefined
      }
    }
  }

  /** Gives the upload up at the server. */
  async terminate(signal: AbortSignal): Promise<void> {
    await this.#protocol?.terminate(signal)
  }

  async #runOnce(saved: UploadNote | undefined, signal: AbortSignal): Promise<FinishedRun> {
    const { protocol: wanted, onEvent } = this.#options
    const job = this.#jobFor(saved)
    const step = { signal, tries: { failures: 0, advances: 0 } }
    const protocol = await this.#untilDone('open', step, () =>
      createProtocol(job, wanted ?? saved?.protocol, signal),
    )
    this.#protocol = protocol
    onEvent({ type: 'protocol', protocol: protocol.name })
    await this.#untilDone('open', step, () => protocol.open(signal))
    this.#resumedBytes = protocol.held.bytes
    this.#hasOpened = true
    await this.#sendAll(protocol, signal)
    const file = await this.#untilDone('finish', step, () => protocol.finish(signal))
    return { ...file, protocol: protocol.name }
  }

  #jobFor(saved: UploadNote | undefined): UploadJob {
    const { endpoint, source, http, createHash, settings, onEvent } = this.#options
    return {
      endpoint,
      source,
      http,
      createHash,
      settings,
      saved: saved?.state,
      keep: (state) => this.#keep(state),
      tell: onEvent,
    }
  }

  #keep(state: NoteState): Promise<void> {
    const { endpoint, source, onNote } = this.#options
    const { fingerprint, size } = source
    const protocol = this.#protocol?.name as UploadProtocolName
    return onNote({ protocol, endpoint: endpoint.href, fingerprint, size, state })
  }

  // ── Sending

  async #sendAll(protocol: UploadProtocol, signal: AbortSignal): Promise<void> {
    while (protocol.next([]) !== undefined) {
      this.#throwIfDraining()
      const failing = new AbortController()
      const either = AbortSignal.any([signal, failing.signal])
      const lanes = Array.from({ length: protocol.lanes }, () =>
        this.#runLane(protocol, either).catch((error: unknown) => {
          // The first failure ends the others, which fail for that reason.
          failing.abort(error)
        }),
      )
      await Promise.all(lanes)
      signal.throwIfAborted()
      failing.signal.throwIfAborted()
    }
  }

  async #runLane(protocol: UploadProtocol, signal: AbortSignal): Promise<void> {
    const { source } = this.#options
    const tries: Tries = { failures: 0, advances: 0 }
    for (;;) {
      if (this.#isDraining) return
      const span = protocol.next([...this.#busy.keys()])
      if (span === undefined) return
      this.#busy.set(span, 0)
      const { generation } = this.#options.http
      try {
        if (span.start < source.keptFrom) throw this.#goneError(span.start)
        await this.#sendPiece(protocol, span, signal)
      } catch (error) {
        signal.throwIfAborted()
        this.#busy.set(span, 0)
        // Another lane may have asked for other credentials meanwhile.
        const isStale = isRefusal(error) && generation < this.#options.http.generation
        if (!isStale) await this.#dealWith('send', error, { signal, tries })
        const recover = (): Promise<void> => protocol.recover(span, error, signal)
        await this.#untilDone('send', { signal, tries }, recover)
      } finally {
        this.#busy.delete(span)
      }
    }
  }

  async #sendPiece(protocol: UploadProtocol, span: Span, signal: AbortSignal): Promise<void> {
    const { source } = this.#options
    const { start } = span
    const isEnd = span.end === start
    const end = isEnd ? start : await source.prepare(start, this.#limitOf(span), signal)
    // The source has ended before that; next time the protocol knows.
    if (end <= start && !isEnd) return
    const before = protocol.held.bytes
    await protocol.send(
      { start, end, isLast: end === source.size },
      {
        signal,
        onSent: (bytes) => this.#noteSent(span, bytes),
      },
    )
    if (protocol.held.bytes > before || isEnd) this.#noteProgress()
    await source.release(protocol.held.endFrom(0))
  }

  #limitOf({ start, end }: Span): number {
    const { http, settings } = this.#options
    // Who says how much is sent at once is obeyed.
    return settings.chunkBytes === undefined
      ? Math.min(end - start, http.maxContentBytes)
      : end - start
  }

  /** Content that was refused may be told of after its piece has ended. */
  #noteSent(span: Span, bytes: number): void {
    const handed = this.#busy.get(span)
    if (handed !== undefined) this.#busy.set(span, handed + bytes)
  }

  #noteProgress(): void {
    this.#advances++
    this.#refusals = 0
    this.#restarts = 0
  }

  // ── Failures

  /** Tries a step again and again, as long as that makes sense. */
  async #untilDone<Result>(
    step: UploadStep,
    how: StepOptions,
    work: () => Promise<Result>,
  ): Promise<Result> {
    for (;;) {
      this.#throwIfDraining()
      try {
        return await work()
      } catch (error) {
        how.signal.throwIfAborted()
        await this.#dealWith(step, error, how)
      }
    }
  }

  /** Waits, asks for credentials, or whatever else helps; throws where nothing does. */
  async #dealWith(step: UploadStep, error: unknown, { signal, tries }: StepOptions): Promise<void> {
    // It has to begin anew, which is decided where that is done.
    if (error instanceof UploadGone) throw error
    const { http, onEvent } = this.#options
    if (tries.advances !== this.#advances) tries.failures = 0
    tries.advances = this.#advances
    tries.failures++
    const decision = this.#decide(step, error, tries.failures)
    switch (decision.type) {
      case 'retry': {
        const { reason, delayMs } = decision
        onEvent({
          type: 'retry',
          error: error as Error,
          reason,
          attempt: tries.failures,
          delayMs,
        })
        const isOnline = await this.#wait(delayMs, reason, signal)
        // It may be online a moment later than it is said to be.
        if (isOnline) tries.failures = 0
        return
      }
      case 'renew':
        tries.failures--
        this.#refusals++
        onEvent({ type: 'credentials', error: error as Error })
        http.renewCredentials()
        return
      case 'smaller':
        tries.failures--
        return
      case 'restart':
      case 'fail':
        throw error
    }
  }

  #decide(step: UploadStep, failure: unknown, failures: number): UploadDecision {
    const { http, patience } = this.#options
    return decideUpload(
      {
        step,
        failure,
        failures,
        refusals: this.#refusals + 1,
        restarts: this.#restarts,
        hasReached: http.hasReached,
        canRenew: http.canRenew,
        random: Math.random(),
        now: Date.now(),
      },
      patience,
    )
  }

  /** @returns whether it has ended since the network is said to be back */
  async #wait(delayMs: number, reason: WaitReason, signal: AbortSignal): Promise<boolean> {
    const { clock, onWaiting, onOnline } = this.#options
    const online = new AbortController()
    const either = AbortSignal.any([signal, this.#draining.signal, online.signal])
    const forget = WAITS_FOR_NETWORK.has(reason) ? onOnline?.(() => online.abort()) : undefined
    if (this.#waiting++ === 0) onWaiting(true)
    try {
      await wait(delayMs, either, clock)
      return false
    } catch (error) {
      if (error !== online.signal.reason) throw error
      return true
    } finally {
      forget?.()
      if (--this.#waiting === 0) onWaiting(false)
    }
  }

  /** @throws {UploadGone} when it has been begun anew in vain, or bytes are gone here, too */
  #restart(error: UploadGone): void {
    const { source, onEvent } = this.#options
    if (this.#decide('open', error, 1).type !== 'restart') throw causeOf(error)
    if (source.keptFrom > 0) throw this.#goneError(0)
    this.#restarts++
    onEvent({ type: 'restart', error: causeOf(error) })
  }

  #goneError(from: number): UploadError {
    const { source, endpoint } = this.#options
    return new UploadError(
      'upload-not-found',
      `Cannot go on sending ${JSON.stringify(source.name)} to ${endpoint.label}: the server has lost ` +
        `what it had acknowledged, and what comes before byte ${source.keptFrom} is not kept here`,
      { detail: { from, keptFrom: source.keptFrom } },
    )
  }

  #throwIfDraining(): void {
    this.#draining.signal.throwIfAborted()
  }
}

/** What the server has said, rather than what follows from it. */
function causeOf(error: UploadGone): Error {
  return error.cause instanceof Error ? error.cause : error
}

function isRefusal(error: unknown): boolean {
  return error instanceof HttpStatusError && (error.status === 401 || error.status === 403)
}

/**
 * The sending half of one connection: slices, at the pace and within the limits of time.
 * Owns why nothing can be sent any more. A send that is given up halfway leaves half a message on the
 * way, so the connection is then told to close.
 */
import { type Clock, wait } from '../clock.ts'
import { StreamError, TimeoutError } from '../errors.ts'
import { reasonOf } from './connect-reasons.ts'
import type { NetworkStream } from './network-backend.ts'
import { TcpPace } from './tcp-client-pace.ts'

/** What one call may take; in ms. */
export interface TcpLimits {
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

/** Why a direction has ended, in a few words, and the error behind it. */
export interface TcpEnding {
  readonly why: string
  readonly cause?: unknown
}

/** What every connection of a client shares. */
export interface TcpConnectionSettings {
  /** Host and port, for messages. */
  readonly peer: string
  readonly clock: Clock
  readonly bytesPerSecond: number | undefined
}

// What a socket's buffer takes in one go, mostly; the limit of time begins anew with each slice.
const SLICE_BYTES = 131_072

/** Sends on one stream. Calls of `write` must not overlap. */
export class TcpSender {
  readonly #stream: NetworkStream
  readonly #settings: TcpConnectionSettings
  readonly #pace: TcpPace | undefined
  /** Is told when a send was given up halfway. */
  readonly #onAbandoned: (ending: TcpEnding) => void
  #ending: TcpEnding | undefined
  #failed = false

  constructor(
    stream: NetworkStream,
    settings: TcpConnectionSettings,
    onAbandoned: (ending: TcpEnding) => void,
  ) {
    this.#stream = stream
    this.#settings = settings
    this.#onAbandoned = onAbandoned
    const { bytesPerSecond } = settings
    this.#pace = bytesPerSecond === undefined ? undefined : new TcpPace(bytesPerSecond)
  }

  /** The system has refused bytes: the connection is lost, though the stream has not told it yet. */
  get hasFailed(): boolean {
    return this.#failed
  }

  /** Nothing can be sent from now on. */
  stop(ending: TcpEnding): void {
    this.#ending ??= ending
  }

  /** Tells the peer that no more will be sent. */
  end(): void {
    if (this.#ending !== undefined) return
    this.#ending = { why: 'end() was called' }
    this.#stream.end()
  }

  /**
   * Sends bytes; fulfilled when the system has them. They must not change until then.
   * @throws {StreamError} when nothing can be sent, or no more
   * @throws {TimeoutError} phase `body`, or `signal.reason`
   */
  async write(bytes: Uint8Array, limits: TcpLimits): Promise<void> {
    const { clock } = this.#settings
    limits.signal?.throwIfAborted()
    this.#check()
    const sliceBytes = Math.min(SLICE_BYTES, this.#pace?.sliceBytes ?? SLICE_BYTES)
    for (let start = 0; start < bytes.length; start += sliceBytes) {
      const restMs = this.#pace?.delayMs(clock.now()) ?? 0
      if (restMs > 0) await this.#restBefore(start, restMs, limits.signal)
      const slice = bytes.subarray(start, start + sliceBytes)
      this.#pace?.note(slice.length, clock.now())
      await this.#flush(slice, limits)
    }
  }

  /** Hands one slice to the system and waits until it has it. */
  async #flush(slice: Uint8Array, { timeoutMs, signal }: TcpLimits): Promise<void> {
    const { clock, peer } = this.#settings
    const givenUp = Promise.withResolvers<never>()
    const giveUp = (reason: unknown): void => {
      givenUp.reject(reason)
      this.#abandon(reason)
    }
    const message = `Cannot send to ${peer}: it has taken nothing for ${timeoutMs} ms`
    const cancelTimer = clock.after(timeoutMs, () =>
      giveUp(new TimeoutError('body', timeoutMs, message)),
    )
    const onAbort = (): void => giveUp(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    const flushed = new Promise<Error | null | undefined>((resolve) => {
      // A socket's callback is told the error too, as any of Node's; see also duplex.ts.
      const onFlushed = (error?: Error | null): void => resolve(error)
      this.#stream.write(slice, onFlushed)
    })
    try {
      const cause = await Promise.race([givenUp.promise, flushed])
      if (cause instanceof Error) this.#fail(cause)
    } finally {
      cancelTimer()
      signal?.removeEventListener('abort', onAbort)
    }
    this.#check()
  }

  /** Keeps the pace before the slice at `start`; from the second on an abort leaves half a message. */
  async #restBefore(start: number, restMs: number, signal: AbortSignal | undefined): Promise<void> {
    try {
      await wait(restMs, signal, this.#settings.clock)
    } catch (reason) {
      if (start > 0) this.#abandon(reason)
      throw reason
    }
    this.#check()
  }

  /** What the peer had sent before it hung up can still be read: the stream is not closed here. */
  #fail(cause: Error): void {
    this.#failed = true
    this.stop({ why: reasonOf(cause), cause })
  }

  #abandon(cause: unknown): void {
    const ending = { why: 'a send was given up halfway', cause }
    this.stop(ending)
    this.#onAbandoned(ending)
  }

  #check(): void {
    if (this.#ending === undefined) return
    const { why, ...rest } = this.#ending
    throw new StreamError(`Cannot send to ${this.#settings.peer}: ${why}`, rest)
  }
}

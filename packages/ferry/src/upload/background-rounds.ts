/** Sending what is in an outbox again and again, until somebody ends it. */
import { type Clock, wait } from '../clock.ts'
import { callBack } from './call-back.ts'

/** How sending in the background goes. */
export interface BackgroundOptions {
  /** Between the end of one round and the next, in ms. @defaultValue 5000 */
  readonly checkInterval?: number | undefined
  /** Told of each round that failed: {BufferedUploadError}, or what the outbox has failed with. */
  readonly onError?: ((error: unknown) => void) | undefined
}

/** What rounds go by. */
export interface RoundsOptions extends BackgroundOptions {
  readonly clock: Clock
  /** Ends them, too. */
  readonly signal: AbortSignal | undefined
  /** What somebody may end the round by that begins now, and knows that he has. */
  readonly cancelling: () => AbortSignal
  /** Where something tells that the network is back: calls until the function that it returns is. */
  readonly onOnline?: ((callback: () => void) => () => void) | undefined
}

const DEFAULT_CHECK_INTERVAL_MS = 5000

/** Rounds that have begun. Whoever makes them stops them. */
export class BackgroundRounds {
  readonly #round: (signal: AbortSignal) => Promise<unknown>
  readonly #options: RoundsOptions
  readonly #stopping = new AbortController()
  readonly #done: Promise<void>
  /** Something was added since the last round began. */
  #hasNew = false
  #endWait: () => void = () => {}

  /** @param round what it throws is told, and ends nothing */
  constructor(round: (signal: AbortSignal) => Promise<unknown>, options: RoundsOptions) {
    this.#round = round
    this.#options = options
    this.#done = this.#run()
  }

  /** The next round begins as soon as the last one has ended. */
  wake(): void {
    this.#hasNew = true
    this.#endWait()
  }

  /** Ends the round that is under way. Resolves when it has ended. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#done
  }

  async #run(): Promise<void> {
    const signals = [this.#stopping.signal, this.#options.signal]
    const signal = AbortSignal.any(signals.filter((one) => one !== undefined))
    while (!signal.aborted) {
      this.#hasNew = false
      const cancelled = this.#options.cancelling()
      try {
        await this.#round(signal)
      } catch (error) {
        // The next round tries again.
        if (!signal.aborted && !cancelled.aborted) callBack(this.#options.onError, error)
      }
      if (!this.#hasNew) await this.#wait(signal)
    }
  }

  async #wait(signal: AbortSignal): Promise<void> {
    const { checkInterval = DEFAULT_CHECK_INTERVAL_MS, clock, onOnline } = this.#options
    const awake = new AbortController()
    this.#endWait = () => awake.abort()
    const forget = onOnline?.(this.#endWait)
    // It ends by itself, or because something was added, or for good.
    await wait(checkInterval, AbortSignal.any([signal, awake.signal]), clock).catch(() => {})
    forget?.()
  }
}

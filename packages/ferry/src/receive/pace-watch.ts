/** Tells when bytes come too slowly: fewer than a minimum within a window. */
import type { Clock } from '../clock.ts'

/** What counts as too slow. */
export interface Pace {
  /** The window, in ms. */
  readonly windowMs: number
  /** At least 1, so that a peer that sends nothing is too slow. */
  readonly bytesPerWindow: number
}

/** Watches over one source until it is closed. */
export class PaceWatch {
  readonly #clock: Clock
  readonly #pace: Pace
  readonly #onSlow: () => void
  #bytes = 0
  #cancel: () => void

  constructor(clock: Clock, pace: Pace, onSlow: () => void) {
    this.#clock = clock
    this.#pace = pace
    this.#onSlow = onSlow
    this.#cancel = this.#wait()
  }

  note(bytes: number): void {
    this.#bytes += bytes
  }

  close(): void {
    this.#cancel()
  }

  #wait(): () => void {
    return this.#clock.after(this.#pace.windowMs, () => {
      const isSlow = this.#bytes < this.#pace.bytesPerWindow
      this.#bytes = 0
      this.#cancel = this.#wait()
      if (isSlow) this.#onSlow()
    })
  }
}

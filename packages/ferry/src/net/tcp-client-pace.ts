/** A limit on a rate: tells how long to wait before more bytes may pass. Pure; time is given. */

/** Bytes at an even speed, without a burst. */
export class TcpPace {
  readonly bytesPerSecond: number
  /** From when on more may pass, on the clock of whoever asks. */
  #freeAt = Number.NEGATIVE_INFINITY

  constructor(bytesPerSecond: number) {
    this.bytesPerSecond = bytesPerSecond
  }

  /** Bytes to let pass in one go: a tenth of a second's, so that the speed is even. */
  get sliceBytes(): number {
    return Math.max(1, Math.floor(this.bytesPerSecond / 10))
  }

  /** Notes bytes that pass now. */
  note(bytes: number, now: number): void {
    this.#freeAt = Math.max(this.#freeAt, now) + (bytes / this.bytesPerSecond) * 1000
  }

  /** How long to wait, in ms. */
  delayMs(now: number): number {
    return Math.max(0, this.#freeAt - now)
  }
}

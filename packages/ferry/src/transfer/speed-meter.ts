/** Speed over a sliding window: pure arithmetic on (time, total) samples. */

interface Sample {
  readonly at: number
  readonly totalBytes: number
}

// Long enough to be steady, short enough to follow a change.
const WINDOW_MS = 3000

/** Tells how fast a growing total grows. */
export class SpeedMeter {
  #samples: Sample[] = []

  /** Notes the total at a time in ms. */
  note(at: number, totalBytes: number): void {
    this.#samples.push({ at, totalBytes })
    // The newest sample at or before the window's start is where the window begins.
    while ((this.#samples[1]?.at ?? at) <= at - WINDOW_MS) this.#samples.shift()
  }

  /** Forgets what it has seen: another thing is measured from now on. */
  reset(): void {
    this.#samples = []
  }

  /** Bytes per second over the window; 0 until there are two samples. */
  get bytesPerSecond(): number {
    const first = this.#samples[0]
    const last = this.#samples.at(-1)
    if (first === undefined || last === undefined || last.at <= first.at) return 0
    return ((last.totalBytes - first.totalBytes) * 1000) / (last.at - first.at)
  }
}

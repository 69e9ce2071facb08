/** Tells how much memory outside the heap was held at most, of what nobody can free. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Measures from its creation on, whenever it is asked to look. */
export class MemoryWatch {
  readonly #before = heldBytes()
  #peakBytes = 0

  /** The most that was held at a look, beyond what was held at the beginning. */
  get peakBytes(): number {
    return this.#peakBytes
  }

  look(): void {
    this.#peakBytes = Math.max(this.#peakBytes, heldBytes() - this.#before)
  }
}

function heldBytes(): number {
  // What the first has found free is given back at the latest when the second begins.
  collectGarbage()
  collectGarbage()
  return process.memoryUsage().arrayBuffers
}

/** How much memory processes take, as Linux tells it. */
import { readFileSync } from 'node:fs'

const LOOK_INTERVAL_MS = 100

/** Resident bytes at most, from its creation until it is stopped. */
export class ProcessMemory implements Disposable {
  readonly #ids: readonly number[]
  readonly #before: number
  readonly #timer: NodeJS.Timeout
  #peakBytes = 0

  constructor(ids: readonly number[]) {
    this.#ids = ids
    this.#before = residentBytes(ids)
    this.#timer = setInterval(() => this.#look(), LOOK_INTERVAL_MS)
  }

  /** Beyond what was taken at the beginning. */
  get grownBytes(): number {
    this.#look()
    return this.#peakBytes - this.#before
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    this.#peakBytes = Math.max(this.#peakBytes, residentBytes(this.#ids))
  }
}

function residentBytes(ids: readonly number[]): number {
  return ids.map((id) => residentOf(id)).reduce((sum, bytes) => sum + bytes, 0)
}

/** 0 for a process that has ended. */
function residentOf(id: number): number {
  try {
    const [, kibibytes = '0'] =
      /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${id}/status`, 'utf8')) ?? []
    return Number(kibibytes) * 1024
  } catch {
    return 0
  }
}

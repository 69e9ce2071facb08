/**
 * Telling of items that an outbox gives: several processes may be at it, so that what one is to send
 * may have been sent by another, which is no failure.
 */
import { isFerryError } from 'ferry/errors'
import { EXIT_OK } from './exit-codes.ts'
import type { Failure } from './get-failure.ts'
import { GroupedReporter } from './grouped-reporter.ts'

/** Passes on what happens, and keeps the exit code. */
export class OutboxReporter extends GroupedReporter {
  #count = 0
  #exitCode = EXIT_OK
  #failedFirst = Number.POSITIVE_INFINITY

  /** Of the first item, in order, that could not be sent. */
  get exitCode(): number {
    return this.#exitCode
  }

  override begin(count: number): void {
    this.#count += count
    super.begin(this.#count)
  }

  override failed(failure: Failure, number: number = Number.MAX_SAFE_INTEGER): void {
    if (isGone(failure)) return
    if (number < this.#failedFirst) {
      this.#failedFirst = number
      this.#exitCode = failure.exitCode
    }
    super.failed(failure, number)
  }
}

/** Whether the item has left the outbox: another process has delivered or removed it. */
function isGone({ error }: Pick<Failure, 'error'>): boolean {
  return isFerryError(error, 'upload-not-found') && error.detail['status'] === undefined
}

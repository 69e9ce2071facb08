/**
 * What a fetch does when a connection fails: tries again after a pause, leaves the place alone, does
 * with fewer connections, or ends. How long to wait is decided in retry-download.ts.
 */
import { wait } from '../clock.ts'
import { ConnectError, HttpStatusError, isFerryError, NetworkError } from '../errors.ts'
import type { FileFetchContext } from './file-fetch.ts'
import { hasOther, type Remote } from './remotes.ts'
import { askedPauseMs, retryDelayMs } from './retry-download.ts'
import { noRangesError, type SpanFetcher, UnprovenMirror } from './span-fetcher.ts'
import type { WorkList } from './work-list.ts'
import type { Worker } from './worker.ts'

/** What is known of a failure, and of everything beside it. */
export interface FailureFacts {
  readonly error: Error
  /** How long to wait before another try; undefined when it would fail in the same way. */
  readonly delayMs: number | undefined
  /** In a row, of this connection, before this one. */
  readonly failures: number
  readonly maxRetries: number
  /** It has brought bytes. */
  readonly wasServed: boolean
  /** Nothing has ever come, in this run or an earlier one. */
  readonly nothingCame: boolean
  /** Other connections to the same place bring bytes. */
  readonly othersDeliver: boolean
  /** There is another place to ask. */
  readonly hasOtherPlace: boolean
}

/** `fewer`: it ends and others do its work; `elsewhere`: another place is asked; `end`: of the fetch. */
export type FailureAnswer = 'fewer' | 'elsewhere' | 'retry' | 'end'

export function answerFailure(facts: FailureFacts): FailureAnswer {
  const { error, failures } = facts
  // What was reached in an earlier run is there, though perhaps not now.
  const neverReached = error instanceof ConnectError && facts.nothingCame
  const mayRetry = !neverReached && facts.delayMs !== undefined && failures < facts.maxRetries
  // One that was served before may have come a moment too soon.
  const turnedAway = !facts.wasServed || failures > 0 || !mayRetry
  if (turnedAway && isOfServer(error) && facts.othersDeliver) return 'fewer'
  if (isOfServer(error) && facts.hasOtherPlace) return 'elsewhere'
  return mayRetry ? 'retry' : 'end'
}

/** Deals with the failures of one fetch. */
export class FetchTroubles {
  readonly #context: FileFetchContext
  readonly #list: WorkList
  readonly #fetcher: SpanFetcher
  readonly #end: (error: Error) => void

  constructor(
    context: FileFetchContext,
    list: WorkList,
    fetcher: SpanFetcher,
    end: (error: Error) => void,
  ) {
    this.#context = context
    this.#list = list
    this.#fetcher = fetcher
    this.#end = end
  }

  /** Decides after a failure; waits where waiting is part of the answer. */
  async mayTryAgain(worker: Worker, error: Error): Promise<boolean> {
    const { maxRetries, remotes, record } = this.#context
    const { remote, failures } = worker
    const delayMs = this.#delayAfter(error, failures + 1)
    const answer = answerFailure({
      error,
      delayMs,
      failures,
      maxRetries,
      wasServed: worker.totalBytes > 0,
      nothingCame: this.#fetcher.fetchedBytes === 0 && record === undefined,
      othersDeliver: this.#othersDeliver(worker),
      hasOtherPlace: hasOther(remotes, remote),
    })
    if (answer === 'fewer') {
      this.#doWithFewer(worker, { rangesFail: isFerryError(error, 'range-mismatch') })
      if (error instanceof HttpStatusError) this.#notePause(remote, error)
      return false
    }
    if (answer === 'elsewhere') this.#leaveAlone(remote, error)
    else if (answer === 'end') this.#end(error)
    else await this.#waitToRetry(worker, error, delayMs ?? 0)
    return answer !== 'end'
  }

  /** The whole file came instead of a range, which is of use to a lonely connection only. */
  noteIgnoredRange(worker: Worker): void {
    const { remote } = worker
    this.#doWithFewer(worker, { rangesFail: true })
    if (!hasOther(this.#context.remotes, remote)) return
    this.drop(remote, noRangesError(remote))
  }

  /** The place is not asked again. */
  drop(remote: Remote, error: Error): void {
    if (remote.error !== undefined) return
    remote.error = error
    this.#context.onEvent({ type: 'mirror-dropped', url: remote.url.label, error })
  }

  async #waitToRetry(worker: Worker, error: Error, delayMs: number): Promise<void> {
    const { clock, onEvent } = this.#context
    worker.failures++
    if (this.#fetcher.identity !== undefined && !this.#fetcher.canContinue) {
      await this.#fetcher.forget()
    }
    this.#notePause(worker.remote, error)
    worker.state = 'waiting'
    onEvent({ type: 'retry', error, attempt: worker.failures, delayMs })
    await wait(delayMs, worker.stopping.signal, clock).catch(() => {})
  }

  #delayAfter(error: Error, failures: number): number | undefined {
    const { retryPolicy } = this.#context
    return retryDelayMs(error, { failures, random: Math.random(), now: Date.now() }, retryPolicy)
  }

  /** What one download is told holds for all: a host that asks for a pause is left alone by everybody. */
  #notePause(remote: Remote, error: Error): void {
    const pauseMs = askedPauseMs(error, Date.now(), this.#context.retryPolicy)
    if (pauseMs === undefined) return
    const { hosts, clock } = this.#context
    hosts.notePause(remote.url.origin.key, pauseMs, clock.now())
  }

  /** Another remote takes over; this one is asked again later, unless that would be in vain. */
  #leaveAlone(remote: Remote, error: Error): void {
    const { maxRetries, clock, onEvent } = this.#context
    const delayMs = this.#delayAfter(error, remote.failures + 1)
    // Before the first response there is no version that the others would have to agree with.
    const isStarting = this.#fetcher.identity === undefined
    if (delayMs !== undefined && remote.failures < maxRetries && !isStarting) {
      remote.failures++
      remote.restsUntil = clock.now() + delayMs
      onEvent({ type: 'retry', error, attempt: remote.failures, delayMs })
      return
    }
    this.drop(remote, error)
  }

  /** Another connection brings bytes, or has and asks for more; one that tries again may be as lost. */
  #othersDeliver(worker: Worker): boolean {
    return [...this.#list.workers.values()].some(
      (other) =>
        other !== worker &&
        other.remote === worker.remote &&
        other.totalBytes > 0 &&
        (other.state === 'receiving' || (other.state === 'requesting' && other.failures === 0)),
    )
  }

  /**
   * One connection was turned away while others work: the server wants fewer, or has backends of
   * which some do not go along. A real change shows when the last connection needs a range.
   */
  #doWithFewer({ remote }: Worker, { rangesFail }: { rangesFail: boolean }): void {
    const { hosts, clock, remotes } = this.#context
    hosts.noteTooMany(remote.url.origin.key, clock.now())
    if (hasOther(remotes, remote)) return
    // A server that gets ranges wrong is left to the connection that asked for none.
    if (rangesFail && !remote.rangesWork) this.#fetcher.ignoreRanges()
  }
}

/** The server, or the way to it, is to blame: another connection may fare better. */
function isOfServer(error: Error): boolean {
  return (
    error instanceof NetworkError ||
    error instanceof UnprovenMirror ||
    isFerryError(error, 'range-mismatch') ||
    isFerryError(error, 'representation-changed') ||
    isFerryError(error, 'size-mismatch')
  )
}

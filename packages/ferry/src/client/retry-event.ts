/** What is told before a request is tried again. */

/** A try that failed, and the wait before the next. */
export interface RetryEvent {
  /** The number of the attempt that failed; 1 for the first. */
  readonly attempt: number
  /** `503 Service Unavailable`, or what an error said. */
  readonly reason: string
  /** Undefined when a response was the reason. */
  readonly error: Error | undefined
  /** Undefined when there was no response. */
  readonly status: number | undefined
  readonly delayMs: number
}

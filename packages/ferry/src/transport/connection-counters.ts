/** What one connection has done so far, counted as it goes. */
import type { ConnectionMetrics, ConnectionState } from './connection.ts'

/** Counters of one connection. */
export class ConnectionCounters {
  requestCount = 0
  bytesSent = 0
  bytesReceived = 0
  #totalRequestTimeMs = 0
  #lastRequestTimeMs: number | undefined
  #endedCount = 0
  #errorsCount = 0

  /** Counts an exchange that has ended, with the bytes of content that were `sent` beside the head. */
  countEnd(requestTimeMs: number, { failed, sent }: { failed: boolean; sent: number }): void {
    this.bytesSent += sent
    this.#endedCount++
    this.#totalRequestTimeMs += requestTimeMs
    this.#lastRequestTimeMs = requestTimeMs
    if (failed) this.#errorsCount++
  }

  toMetrics(id: number, state: ConnectionState, idleMs: number | undefined): ConnectionMetrics {
    return {
      id,
      state,
      requestCount: this.requestCount,
      bytesSent: this.bytesSent,
      bytesReceived: this.bytesReceived,
      totalRequestTimeMs: this.#totalRequestTimeMs,
      lastRequestTimeMs: this.#lastRequestTimeMs,
      averageRequestTimeMs:
        this.#endedCount === 0 ? undefined : this.#totalRequestTimeMs / this.#endedCount,
      errorsCount: this.#errorsCount,
      errorRate: this.requestCount === 0 ? 0 : this.#errorsCount / this.requestCount,
      idleMs,
    }
  }
}

/** Counts requests, and how long their answers took, by origin, method and class of status. */
import type { HttpRequest } from '../../transport/http-request.ts'
import type { Interceptor } from '../interceptor.ts'

/** `2xx` and so on; `error` when no response came. */
export type StatusClass = '1xx' | '2xx' | '3xx' | '4xx' | '5xx' | 'error'

/** Requests of one origin, method and class. */
export interface RequestCounts {
  /** `https://example.org:443`; `other` for those after the first 1000 rows. */
  readonly origin: string
  readonly method: string
  readonly statusClass: StatusClass
  readonly count: number
  /** From the request to the head of its response, or to its failure, added up. */
  readonly totalMs: number
  readonly maxMs: number
  /** How many took at most so long; each bucket counts those below it, too. The last is Infinity. */
  readonly buckets: readonly { readonly upToMs: number; readonly count: number }[]
}

/** An interceptor that can be asked what it has counted. */
export interface RequestCounter extends Interceptor {
  /** What has been counted so far, one row for each combination that occurred. */
  snapshot(): RequestCounts[]
}

/** Settings of a counter. */
export interface CounterOptions {
  /** call: once a call; attempt: each try of it. @defaultValue 'attempt' */
  readonly scope?: Interceptor['scope']
  /** Upper ends of the buckets in ms, ascending. @defaultValue 5 to 10 000 in eleven steps */
  readonly bucketsMs?: readonly number[] | undefined
}

// The steps that Prometheus clients begin with.
const DEFAULT_BUCKETS_MS = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]
// A crawler sees origins without end; the counts must not grow with them.
const MAX_ROWS = 1000

/**
 * Counts what passes.
 * @example
 * const counter = countRequests()
 * console.table(counter.snapshot())
 */
export function countRequests(options: CounterOptions = {}): RequestCounter {
  const { scope = 'attempt', bucketsMs = DEFAULT_BUCKETS_MS } = options
  const limits = [...bucketsMs, Number.POSITIVE_INFINITY]
  const rows = new Map<string, Row>()
  const count = (request: HttpRequest, statusClass: StatusClass, startedAt: number): void => {
    const rowOf = (origin: string): Row => {
      const key = `${statusClass} ${request.method} ${origin}`
      const row = rows.get(key)
      if (row !== undefined) return row
      if (rows.size >= MAX_ROWS && origin !== 'other') return rowOf('other')
      const created = new Row({ origin, method: request.method, statusClass, limits })
      rows.set(key, created)
      return created
    }
    rowOf(request.url.origin.key).add(performance.now() - startedAt)
  }
  return {
    scope,
    snapshot: () => [...rows.values()].map((row) => row.toCounts()),
    async preRequest(request, context) {
      const startedAt = performance.now()
      try {
        const response = await context.send(request)
        count(request, classOf(response.status), startedAt)
        return response
      } catch (error) {
        count(request, 'error', startedAt)
        throw error
      }
    },
  }
}

function classOf(status: number): StatusClass {
  return `${Math.floor(status / 100)}xx` as StatusClass
}

/** What a row is about. */
interface RowKey extends Pick<RequestCounts, 'origin' | 'method' | 'statusClass'> {
  readonly limits: readonly number[]
}

class Row {
  readonly #key: RowKey
  readonly #counts: number[]
  #totalMs = 0
  #maxMs = 0

  constructor(key: RowKey) {
    this.#key = key
    this.#counts = key.limits.map(() => 0)
  }

  add(durationMs: number): void {
    this.#totalMs += durationMs
    this.#maxMs = Math.max(this.#maxMs, durationMs)
    const index = this.#key.limits.findIndex((limit) => durationMs <= limit)
    this.#counts[index] = (this.#counts[index] as number) + 1
  }

  toCounts(): RequestCounts {
    const { limits, ...key } = this.#key
    let count = 0
    const buckets = limits.map((upToMs, index) => {
      count += this.#counts[index] as number
      return { upToMs, count }
    })
    return { ...key, count, totalMs: this.#totalMs, maxMs: this.#maxMs, buckets }
  }
}

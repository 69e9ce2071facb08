/** Requests that wait for a connection, in their order; those that return go before the others. */
import type { PooledExchange } from './pooled-exchange.ts'

/** A queue of one origin. */
export class RequestQueue implements Iterable<PooledExchange> {
  readonly #returned = new Set<PooledExchange>()
  readonly #waiting = new Set<PooledExchange>()

  get size(): number {
    return this.#returned.size + this.#waiting.size
  }

  get first(): PooledExchange | undefined {
    for (const exchange of this.#returned) return exchange
    for (const exchange of this.#waiting) return exchange
    return undefined
  }

  has(exchange: PooledExchange): boolean {
    return this.#returned.has(exchange) || this.#waiting.has(exchange)
  }

  add(exchange: PooledExchange): void {
    this.#waiting.add(exchange)
  }

  /** Takes back one that was first once already: it goes before all that were not. */
  addReturned(exchange: PooledExchange): void {
    this.#returned.add(exchange)
  }

  delete(exchange: PooledExchange): void {
    if (!this.#returned.delete(exchange)) this.#waiting.delete(exchange)
  }

  *[Symbol.iterator](): Iterator<PooledExchange> {
    yield* this.#returned
    yield* this.#waiting
  }
}

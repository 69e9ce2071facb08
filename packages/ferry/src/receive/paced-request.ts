/**
 * Holds the content of requests back where it comes faster than a limit allows: the server stops
 * reading from the connection for a while, and the client has to wait.
 *
 * Whatever reads the content knows nothing of it. Nothing is held back for longer than `maxHoldMs`,
 * so that an upload is not given up as idle for the sake of a limit; where very many come at the same
 * time, the limit gives way.
 */
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../clock.ts'
import { RateLimit } from '../transfer/rate-limit.ts'

/** How content is held back. */
export interface Pacing {
  /** Undefined for no limit. */
  readonly bytesPerSecond?: number | undefined
  readonly maxHoldMs: number
  readonly clock: Clock
}

// Of more, the limit begins anew for those that came longest ago.
const MAX_KNOWN = 10_000

/** One limit for each who sends. */
export class RequestPaces {
  readonly #pacing: Pacing
  /** Those who came last stand last. */
  readonly #limits = new Map<string, RateLimit>()

  /** @throws {ConfigError} bytesPerSecond */
  constructor(pacing: Pacing) {
    this.#pacing = pacing
    // Refuses now what nobody could use later.
    void new RateLimit(pacing.bytesPerSecond)
  }

  /** Holds a request to the limit of whoever sends it, before its content is read. */
  hold(request: IncomingMessage, who: string): void {
    const { bytesPerSecond } = this.#pacing
    // HTTP/2 has windows for each stream.
    if (bytesPerSecond === undefined || request.httpVersionMajor > 1) return
    const limit = this.#limits.get(who) ?? new RateLimit(bytesPerSecond)
    this.#limits.delete(who)
    this.#limits.set(who, limit)
    const [first] = this.#limits.keys()
    if (this.#limits.size > MAX_KNOWN) this.#limits.delete(first as string)
    holdBack(request, limit, this.#pacing)
  }
}

function holdBack(request: IncomingMessage, limit: RateLimit, { clock, maxHoldMs }: Pacing): void {
  const push = request.push.bind(request)
  const read = request._read.bind(request)
  let isHeld = false
  let isAsked = false
  let cancel = (): void => {}
  const release = (): void => {
    isHeld = false
    if (!isAsked || request.destroyed) return
    isAsked = false
    read(0)
  }
  request.once('close', () => cancel())
  // What Node reads from a connection goes in by `push`; after false it reads no more, until `_read`.
  request.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
    const length = chunk instanceof Uint8Array ? chunk.length : 0
    const holdMs = length === 0 ? 0 : Math.min(maxHoldMs, limit.take(length, clock.now()))
    if (holdMs > 0 && !isHeld) {
      isHeld = true
      cancel = clock.after(holdMs, release, { background: true })
    }
    return push(chunk, encoding) && !isHeld
  }
  request._read = (bytes: number): void => {
    if (isHeld) isAsked = true
    else read(bytes)
  }
}

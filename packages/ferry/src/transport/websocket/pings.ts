/**
 * Pings and what answers them (RFC 6455 §5.5.2): those that the caller sends, with their round trip,
 * and those that are sent on time to find out that the peer has gone.
 */
import type { Clock } from '../../clock.ts'
import { TimeoutError } from '../../errors.ts'

interface PingSettings {
  readonly clock: Clock
  readonly intervalMs: number
  readonly pongTimeoutMs: number
  readonly send: (payload: Uint8Array) => void
  /** All bytes that came from the peer so far. */
  readonly receivedBytes: () => number
  /** Nothing is read now, because nobody takes it: silence says nothing about the peer. */
  readonly isPaused: () => boolean
  readonly onSilence: (error: Error) => void
}

interface SentPing {
  readonly payload: Buffer
  readonly sentAt: number
  readonly settle: (error?: Error) => void
}

// RFC 6455 §5.5
const MAX_PAYLOAD_BYTES = 125
const COUNTER_BYTES = 4

/** The pings of one connection; `stop()` them with it. */
export class Pings {
  readonly #settings: PingSettings
  readonly #sent: SentPing[] = []
  #count = 0
  #cancelTick: (() => void) | undefined
  #cancelCheck: (() => void) | undefined

  constructor(settings: PingSettings) {
    this.#settings = settings
    this.#schedule()
  }

  /**
   * Sends a ping and gives the ms until its answer came.
   * @throws {RangeError} when `payload` is longer than 125 bytes; `signal.reason`
   */
  ping(payload: string | Uint8Array | undefined, signal?: AbortSignal): Promise<number> {
    const bytes = payload === undefined ? this.#nextPayload() : Buffer.from(payload)
    if (bytes.length > MAX_PAYLOAD_BYTES) {
      const reason = `Cannot send a ping of ${bytes.length} bytes: ${MAX_PAYLOAD_BYTES} are the most`
      return Promise.reject(new RangeError(reason))
    }
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const { clock, send } = this.#settings
      const sentAt = clock.now()
      const onAbort = (): void => settle(signal?.reason as Error)
      const settle = (error?: Error): void => {
        signal?.removeEventListener('abort', onAbort)
        if (error === undefined) resolve(clock.now() - sentAt)
        else reject(error)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#sent.push({ payload: bytes, sentAt, settle })
      send(bytes)
    })
  }

  /** An answer came. The peer may have answered only the last of several pings (§5.5.3). */
  onPong(payload: Buffer): void {
    const index = this.#sent.findIndex((ping) => ping.payload.equals(payload))
    for (const { settle } of this.#sent.splice(0, index + 1)) settle()
  }

  /** Fails what waits for an answer. */
  stop(error: Error): void {
    this.#cancelTick?.()
    this.#cancelCheck?.()
    for (const { settle } of this.#sent.splice(0)) settle(error)
  }

  #schedule(): void {
    const { clock, intervalMs } = this.#settings
    if (intervalMs === Infinity) return
    this.#cancelTick = clock.after(intervalMs, () => this.#tick(), { background: true })
  }

  #tick(): void {
    const { clock, pongTimeoutMs, send, isPaused, receivedBytes } = this.#settings
    this.#schedule()
    if (isPaused()) return
    send(this.#nextPayload())
    if (this.#cancelCheck !== undefined) return
    const before = receivedBytes()
    const check = (): void => {
      this.#cancelCheck = undefined
      if (receivedBytes() === before && !isPaused()) this.#tellSilence()
    }
    this.#cancelCheck = clock.after(pongTimeoutMs, check, { background: true })
  }

  #tellSilence(): void {
    const { pongTimeoutMs, onSilence } = this.#settings
    const reason = `Cannot go on: no answer to a ping within ${pongTimeoutMs} ms`
    onSilence(new TimeoutError('body', pongTimeoutMs, reason))
  }

  #nextPayload(): Buffer {
    const payload = Buffer.alloc(COUNTER_BYTES)
    this.#count = (this.#count + 1) >>> 0
    payload.writeUInt32BE(this.#count)
    return payload
  }
}

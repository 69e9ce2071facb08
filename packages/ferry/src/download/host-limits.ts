/**
 * How many connections a host takes, shared by all downloads: the limit that was set, and what the
 * host has taught by turning connections away. Pure but for its account; time is given.
 */
import { ConfigError } from '../errors.ts'

// As many as browsers and download programs allow themselves at most.
const DEFAULT_MAX_CONNECTIONS = 16
// A refusal may have been a passing one: then one connection more is tried, soon at first, and after
// each further refusal later.
const MIN_RECOVERY_MS = 1000
// What is turned away within so short a time was asked for together.
const SAME_MOMENT_MS = 500
const MAX_RECOVERY_MS = 60_000

interface Host {
  active: number
  /** What the host seems to take; Infinity as long as it has refused nothing. */
  cap: number
  capAt: number
  /** How long it is until one more is tried. */
  recoveryMs: number
  notBefore: number
}

/** The account of connections; downloads that share one share its limits. */
export class HostLimits {
  readonly #max: number
  readonly #hosts = new Map<string, Host>()

  /** @throws {ConfigError} when the number is no whole one from 1 */
  constructor(options: { readonly maxConnectionsPerHost?: number | undefined } = {}) {
    const { maxConnectionsPerHost: max = DEFAULT_MAX_CONNECTIONS } = options
    if (!(Number.isInteger(max) && max >= 1)) {
      throw new ConfigError(
        'maxConnectionsPerHost',
        `Cannot use ${max} as maxConnectionsPerHost: expected a whole number from 1`,
      )
    }
    this.#max = max
  }

  /** Whether the host takes one more connection: it has not enough, nor asked for a pause. */
  isOpen(name: string, now: number): boolean {
    const host = this.#host(name)
    return now >= host.notBefore && host.active < this.#allowed(host, now)
  }

  /** Takes leave for one more connection; false when the host is not open. */
  take(name: string, now: number): boolean {
    if (!this.isOpen(name, now)) return false
    this.#host(name).active++
    return true
  }

  /** A connection that was taken leave for is no more in use. */
  release(name: string): void {
    const host = this.#host(name)
    host.active = Math.max(0, host.active - 1)
  }

  /** The host has turned away a connection beside others: it takes fewer than there are. */
  noteTooMany(name: string, now: number): void {
    const host = this.#host(name)
    if (now > host.capAt + SAME_MOMENT_MS) {
      host.recoveryMs = Math.min(MAX_RECOVERY_MS, Math.max(MIN_RECOVERY_MS, host.recoveryMs * 2))
    }
    host.cap = Math.max(1, Math.min(this.#allowed(host, now), host.active - 1))
    host.capAt = now
  }

  /** The host has asked for a pause (Retry-After, RFC 9110 §10.2.3). */
  notePause(name: string, delayMs: number, now: number): void {
    const host = this.#host(name)
    host.notBefore = Math.max(host.notBefore, now + delayMs)
  }

  /** The most connections that the host may have now. */
  allowed(name: string, now: number): number {
    return this.#allowed(this.#host(name), now)
  }

  #allowed(host: Host, now: number): number {
    const recovered = Math.floor((now - host.capAt) / Math.max(1, host.recoveryMs))
    return Math.min(this.#max, host.cap + recovered)
  }

  #host(name: string): Host {
    let host = this.#hosts.get(name)
    if (host === undefined) {
      host = {
        active: 0,
        cap: Number.POSITIVE_INFINITY,
        capAt: Number.NEGATIVE_INFINITY,
        recoveryMs: 0,
        notBefore: 0,
      }
      this.#hosts.set(name, host)
    }
    return host
  }
}

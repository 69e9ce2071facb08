/**
 * Names to addresses by the system's getaddrinfo, with a short memory: getaddrinfo tells no time to
 * live, takes one of four threads of the process for each call, and asks the network anew each time.
 * Owns the memory; an abort is the caller's own affair, since others may wait for the same answer.
 */
import { lookup } from 'node:dns/promises'
import { type Clock, systemClock } from '../clock.ts'
import { ConnectError } from '../errors.ts'
import { reasonOf } from './connect-reasons.ts'
import type { Address } from './happy-eyeballs.ts'

/** Gives the addresses of names. */
export interface Resolver {
  /** The addresses of a host in the order of preference; rejects when the look-up fails. */
  resolve(host: string): Promise<readonly Address[]>
  /** The addresses given last were of no use: the next look-up is a new one. */
  forget(host: string): void
}

/** Asks the system; the default is getaddrinfo. */
export type Lookup = (host: string) => Promise<readonly Address[]>

// As long as common short times to live of records that move a service; a burst of connections is
// over by then, and what fails is looked up anew anyway.
const KEPT_MS = 30_000
// Just enough that a burst of requests to a wrong name asks once; a network that comes up is seen.
const FAILURE_KEPT_MS = 1_000
// Some 200 KB; more names than any but a crawler meets in 30 s.
const MAX_NAMES = 1_000

interface Entry {
  readonly addresses: Promise<readonly Address[]>
  /** On the clock; infinite while the look-up runs. */
  expiresAt: number
}

/** A resolver that remembers. */
export class CachingResolver implements Resolver {
  readonly #clock: Clock
  readonly #lookup: Lookup
  /** Oldest first. */
  readonly #entries = new Map<string, Entry>()

  constructor(options: { clock?: Clock; lookup?: Lookup } = {}) {
    this.#clock = options.clock ?? systemClock
    this.#lookup = options.lookup ?? lookupWithSystem
  }

  resolve(host: string): Promise<readonly Address[]> {
    // RFC 4343: names are compared without case.
    const name = host.toLowerCase()
    const known = this.#entries.get(name)
    if (known !== undefined && this.#clock.now() < known.expiresAt) return known.addresses
    this.#entries.delete(name)
    const entry: Entry = {
      addresses: this.#lookup(name),
      expiresAt: Number.POSITIVE_INFINITY,
    }
    entry.addresses.then(
      () => (entry.expiresAt = this.#clock.now() + KEPT_MS),
      () => (entry.expiresAt = this.#clock.now() + FAILURE_KEPT_MS),
    )
    this.#makeRoom()
    this.#entries.set(name, entry)
    return entry.addresses
  }

  forget(host: string): void {
    const name = host.toLowerCase()
    // One that still runs was not what failed: it is newer.
    if (this.#entries.get(name)?.expiresAt !== Number.POSITIVE_INFINITY) this.#entries.delete(name)
  }

  /** Drops the oldest; whoever waits for it still gets it. */
  #makeRoom(): void {
    if (this.#entries.size < MAX_NAMES) return
    const [oldest] = this.#entries.keys()
    if (oldest !== undefined) this.#entries.delete(oldest)
  }
}

/**
 * The addresses of a name, at least one.
 * @throws {ConnectError} resolve-failed
 */
export async function resolveHost(resolver: Resolver, host: string): Promise<readonly Address[]> {
  let addresses: readonly Address[]
  try {
    addresses = await resolver.resolve(host)
  } catch (cause) {
    throw new ConnectError('resolve', `Cannot resolve host ${host}: ${reasonOf(cause)}`, { cause })
  }
  if (addresses.length === 0) {
    throw new ConnectError('resolve', `Cannot resolve host ${host}: it has no address`)
  }
  return addresses
}

async function lookupWithSystem(host: string): Promise<Address[]> {
  const found = await lookup(host, { all: true, order: 'verbatim' })
  return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }))
}

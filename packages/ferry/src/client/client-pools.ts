/**
 * The connection pools of a client: one for its own settings, and others for calls that want another
 * proxy, other trust or another protocol. Made when they are needed first; closed with the client.
 */
import { StreamError } from '../errors.ts'
import type { TlsOptions } from '../net/network-backend.ts'
import { parseProxy } from '../net/proxy.ts'
import { ConnectionPool } from '../transport/connection-pool.ts'
import {
  type ConnectionPoolOptions,
  type ProxyChoice,
  resolvePoolOptions,
} from '../transport/pool-options.ts'
import type { CommonOptions, HttpClientOptions } from './call-options.ts'
import { proxyFromEnvironment } from './proxy-environment.ts'
import { WishKeys } from './wish-key.ts'

/** What a call may want of its connections. */
type ConnectionWishes = Pick<
  CommonOptions,
  'proxy' | 'verifySsl' | 'tls' | 'http2' | 'connectTimeoutMs'
>

// Each has connections of its own; who wants more should make clients.
const MAX_OTHER_POOLS = 32

/** The pools of one client. */
export class ClientPools {
  readonly #options: HttpClientOptions
  readonly #shared: ConnectionPool | undefined
  #own: ConnectionPool | undefined
  /** By what was wished for. */
  readonly #others = new Map<string, ConnectionPool>()
  readonly #keys = new WishKeys()
  #closed = false

  /** @throws {ConfigError} when an option of connections cannot be used */
  constructor(options: HttpClientOptions) {
    this.#options = options
    this.#shared = options.pool
    // Pools are made when they are needed; what cannot be used is better known before.
    const { proxy } = options
    const isNamed = typeof proxy === 'string' && proxy !== 'environment'
    if (isNamed || (typeof proxy === 'object' && proxy !== null)) parseProxy(proxy)
    resolvePoolOptions({ ...options, proxy: undefined, tls: undefined, totalTimeoutMs: undefined })
  }

  /** The pool for a call. @throws {ConfigError} when an option cannot be used, {StreamError} when closed */
  poolFor(wishes: ConnectionWishes): ConnectionPool {
    if (this.#closed) throw new StreamError('Cannot go on: the client was closed')
    const { proxy, verifySsl, tls, http2, connectTimeoutMs } = wishes
    const isUsual =
      proxy === undefined &&
      verifySsl === undefined &&
      tls === undefined &&
      http2 === undefined &&
      connectTimeoutMs === undefined
    if (isUsual) return this.#shared ?? (this.#own ??= this.#create({}))
    const key = this.#keys.keyOf([proxy, verifySsl, tls, http2, connectTimeoutMs])
    let pool = this.#others.get(key)
    if (pool === undefined) {
      pool = this.#create({ proxy, verifySsl, tls, http2, connectTimeoutMs })
      this.#forgetOldest()
      this.#others.set(key, pool)
    }
    return pool
  }

  /** Closes all but a shared one. */
  async close(): Promise<void> {
    this.#closed = true
    const pools = [...this.#others.values()]
    this.#others.clear()
    if (this.#own !== undefined) pools.push(this.#own)
    await Promise.all(pools.map((pool) => pool.close()))
  }

  #create(wishes: ConnectionWishes): ConnectionPool {
    return new ConnectionPool(poolOptions({ ...this.#options, ...definedOf(wishes) }))
  }

  /** Only one that is not in use: a client that uses so many at once has them all. */
  #forgetOldest(): void {
    if (this.#others.size < MAX_OTHER_POOLS) return
    for (const [key, pool] of this.#others) {
      const { active, waiting, connecting } = pool.metrics()
      if (active + waiting + connecting > 0) continue
      this.#others.delete(key)
      void pool.close()
      return
    }
  }
}

function definedOf(wishes: ConnectionWishes): Partial<ConnectionWishes> {
  return Object.fromEntries(Object.entries(wishes).filter(([, value]) => value !== undefined))
}

/** What a pool is told, out of what a client is told. */
function poolOptions(options: HttpClientOptions): ConnectionPoolOptions {
  const { proxy, verifySsl, tls, timeoutMs, ...rest } = options
  const trust: TlsOptions = verifySsl === undefined ? { ...tls } : { ...tls, insecure: !verifySsl }
  // A socket path leads to one place whatever the environment says.
  const usual = options.socketPath === undefined ? 'environment' : false
  return { ...rest, tls: trust, proxy: proxyOf(proxy ?? usual), totalTimeoutMs: timeoutMs }
}

function proxyOf(choice: NonNullable<CommonOptions['proxy']>): ProxyChoice | undefined {
  if (choice === false) return undefined
  return choice === 'environment' ? proxyFromEnvironment(process.env) : choice
}

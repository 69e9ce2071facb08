/**
 * Opens connections to an origin: straight, over a Unix domain socket, or through a proxy.
 * Owns the way there and the record of what it took; the pool owns what comes out.
 */
import type { Clock } from '../clock.ts'
import { ConfigError, StreamError } from '../errors.ts'
import type {
  ConnectOptions,
  ConnectStep,
  ExtraInfo,
  NetworkBackend,
  NetworkStream,
  TlsOptions,
} from '../net/network-backend.ts'
import { connectThroughProxy, parseProxy, type ProxySettings } from '../net/proxy.ts'
import { formatBasicCredentials } from '../protocol/semantics/basic-credentials.ts'
import type { OpeningTimings } from './connection.ts'
import { Http1Connection } from './http1-connection.ts'
import type { Origin } from './http-url.ts'
import type { PooledConnection } from './origin-pool.ts'
import type { ProxyChoice } from './pool-options.ts'
import type { Tracer } from './trace.ts'

/** What an opener works with. */
export interface ConnectionOpenerOptions {
  readonly backend: NetworkBackend
  readonly clock: Clock
  readonly tracer: Tracer
  readonly tls: TlsOptions
  readonly proxy: ProxyChoice | undefined
  readonly socketPath: string | undefined
  readonly connectTimeoutMs: number
  readonly signal: AbortSignal
}

const ALPN_PROTOCOLS = ['http/1.1']

/** Opens the connections of one pool. */
export class ConnectionOpener {
  readonly #options: ConnectionOpenerOptions
  readonly #proxyOf: (origin: Origin) => ProxySettings | undefined
  #nextId = 1

  /** @throws {ConfigError} when the proxy cannot be used */
  constructor(options: ConnectionOpenerOptions) {
    if (options.proxy !== undefined && options.socketPath !== undefined) {
      throw new ConfigError('socketPath', 'Cannot use socketPath and proxy together')
    }
    this.#options = options
    this.#proxyOf = proxyChooser(options.proxy)
  }

  /**
   * `onStateChange` is told when the connection becomes idle or closed, once it has been given.
   * @throws {ConnectError} {TimeoutError}
   * @throws {StreamError} when it is closed at once
   */
  async open(
    origin: Origin,
    onStateChange: (pooled: PooledConnection) => void,
  ): Promise<PooledConnection> {
    const { clock, signal, tracer } = this.#options
    const id = this.#nextId++
    const stopwatch = new OpeningStopwatch(clock)
    const proxy = this.#proxyOf(origin)
    const forwards = proxy !== undefined && proxy.type !== 'socks5' && origin.scheme === 'http'
    const stream = await this.#connect(origin, proxy, forwards, (step) => {
      stopwatch.note(step)
      if (tracer.active) {
        tracer.emit({
          ...step,
          origin: origin.key,
          connection: id,
          exchange: undefined,
          request: undefined,
        })
      }
    })
    const extraInfo: ExtraInfo = {
      peer: stream.getExtraInfo('peer'),
      local: stream.getExtraInfo('local'),
      tls: stream.getExtraInfo('tls'),
    }
    // Filled when the connection is given; what happens to it before is for us alone.
    const given: { pooled?: PooledConnection } = {}
    const connection = new Http1Connection(stream, {
      clock,
      id,
      onStateChange: () => {
        if (given.pooled !== undefined) onStateChange(given.pooled)
      },
      forward: forwards ? { authorization: authorizationFor(proxy) } : undefined,
    })
    if (signal.aborted) connection.close()
    if (connection.state === 'closed') {
      throw new StreamError(`Cannot use the connection to ${origin.key}: it was closed at once`)
    }
    given.pooled = {
      connection,
      openedAt: clock.now(),
      opening: stopwatch.timings,
      extraInfo,
      expiresAt: 0,
    }
    return given.pooled
  }

  #connect(
    { scheme, host, port }: Origin,
    proxy: ProxySettings | undefined,
    forwards: boolean,
    onStep: (step: ConnectStep) => void,
  ): Promise<NetworkStream> {
    const { backend, tls, socketPath, connectTimeoutMs, signal } = this.#options
    const options: ConnectOptions = {
      host,
      port,
      socketPath,
      tls: scheme === 'https' ? tls : undefined,
      alpnProtocols: ALPN_PROTOCOLS,
      timeoutMs: connectTimeoutMs,
      signal,
      onStep,
    }
    if (proxy === undefined) return backend.connect(options)
    if (!forwards) return connectThroughProxy(backend, proxy, options)
    return backend.connect({
      ...options,
      host: proxy.host,
      port: proxy.port,
      tls: proxy.type === 'https' ? proxy.tls : undefined,
    })
  }
}

function proxyChooser(
  choice: ProxyChoice | undefined,
): (origin: Origin) => ProxySettings | undefined {
  if (choice === undefined) return () => undefined
  if (typeof choice !== 'function') {
    const proxy = parseProxy(choice)
    return () => proxy
  }
  return (origin) => {
    const chosen = choice(origin)
    return chosen === undefined ? undefined : parseProxy(chosen)
  }
}

function authorizationFor({ credentials }: ProxySettings): string | undefined {
  return credentials === undefined ? undefined : formatBasicCredentials(credentials)
}

/** Takes the times of the steps of one opening. */
class OpeningStopwatch {
  readonly #clock: Clock
  readonly #startedAt = new Map<ConnectStep['step'], number>()
  readonly #took = new Map<ConnectStep['step'], number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  note({ step, phase }: ConnectStep): void {
    const now = this.#clock.now()
    if (phase === 'start') {
      // Several addresses may be tried; what counts is the time to the winner.
      if (!this.#startedAt.has(step)) this.#startedAt.set(step, now)
    } else if (phase === 'end') {
      this.#took.set(step, now - (this.#startedAt.get(step) ?? now))
    }
  }

  get timings(): OpeningTimings {
    return {
      resolveMs: this.#took.get('resolve'),
      connectMs: this.#took.get('connect'),
      proxyMs: this.#took.get('proxy'),
      tlsMs: this.#took.get('tls'),
    }
  }
}

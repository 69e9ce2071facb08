/**
 * Opens connections to an origin: straight, over a Unix domain socket, or through a proxy.
 * Owns the way there and the record of what it took; the pool owns what comes out.
 */
import type { Clock } from '../clock.ts'
import { ConfigError, ConnectError, StreamError } from '../errors.ts'
import type {
  ConnectOptions,
  ConnectStep,
  ExtraInfo,
  NetworkBackend,
  NetworkStream,
  TlsOptions,
} from '../net/network-backend.ts'
import { connectThroughProxy, parseProxy, type ProxySettings } from '../net/proxy.ts'
import { toProxyFailure } from '../net/proxy-failure.ts'
import { formatBasicCredentials } from '../protocol/semantics/basic-credentials.ts'
import type { Connection, OpeningTimings } from './connection.ts'
import { Http1Connection } from './http1-connection.ts'
import { Http2Connection, type Http2ConnectionOptions } from './http2-connection.ts'
import type { Origin } from './http-url.ts'
import type { PooledConnection } from './origin-pool.ts'
import type { Http2Choice, Http2Settings, ProxyChoice } from './pool-options.ts'
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
  readonly http2: Http2Settings
  readonly signal: AbortSignal
}

/** Which connection is wanted, and who is told of it. */
export interface OpenRequest {
  readonly origin: Origin
  /** Whether HTTP/2 will not do. */
  readonly http1Only: boolean
  /** How many requests such a connection has taken at once; Infinity when that is not known. */
  readonly expectedStreams: number
  /** Is told when the connection has room, is idle or closed, once it has been given. */
  readonly onStateChange: (pooled: PooledConnection) => void
}

const HTTP1_ONLY = ['http/1.1']
/** The protocols to offer by ALPN, the preferred first (RFC 7301, RFC 9113 §3.2). */
const OFFERS: Readonly<Record<Http2Choice, readonly string[]>> = {
  alpn: ['h2', 'http/1.1'],
  'prior-knowledge': ['h2'],
  off: HTTP1_ONLY,
}

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

  /** The number that the next connection gets. */
  get nextId(): number {
    return this.#nextId
  }

  /** Whether connections to an origin may turn out to take many requests at once. */
  mayMultiplex({ scheme }: Origin): boolean {
    const { choice } = this.#options.http2
    return choice === 'prior-knowledge' || (choice === 'alpn' && scheme === 'https')
  }

  /**
   * @throws {ConnectError} {TimeoutError}
   * @throws {StreamError} when it is closed at once
   */
  async open(request: OpenRequest): Promise<PooledConnection> {
    const { origin, http1Only, expectedStreams, onStateChange } = request
    const { clock, signal } = this.#options
    const id = this.#nextId++
    const stopwatch = new OpeningStopwatch(clock)
    const way = this.#wayTo(origin, http1Only)
    const stream = await this.#connect(origin, way, (step) => {
      stopwatch.note(step)
      this.#trace(step, origin, id)
    })
    const extraInfo: ExtraInfo = {
      peer: stream.getExtraInfo('peer'),
      local: stream.getExtraInfo('local'),
      tls: stream.getExtraInfo('tls'),
    }
    // Filled when the connection is given; what happens to it before is for us alone.
    const given: { pooled?: PooledConnection } = {}
    const agreed = extraInfo.tls?.alpnProtocol
    if (way.choice === 'prior-knowledge' && origin.scheme === 'https' && agreed !== 'h2') {
      stream.close()
      // RFC 9113 §3.2: over TLS it is agreed on in the handshake.
      throw new ConnectError(
        'tls',
        `Cannot speak HTTP/2 with ${origin.key}: the server did not agree to it in the handshake`,
      )
    }
    const connection = this.#speak(stream, way, {
      clock,
      id,
      expectedStreams,
      onStateChange: () => {
        if (given.pooled !== undefined) onStateChange(given.pooled)
      },
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
      isFree: false,
    }
    return given.pooled
  }

  #wayTo(origin: Origin, http1Only: boolean): Way {
    const proxy = this.#proxyOf(origin)
    const choice = http1Only ? 'off' : this.#options.http2.choice
    // Over a proxy that forwards, its HTTP/1.1 is what counts.
    const isPlain = origin.scheme === 'http' && choice !== 'prior-knowledge'
    return { proxy, choice, forwards: proxy !== undefined && proxy.type !== 'socks5' && isPlain }
  }

  /** Speaks the protocol that was agreed on. */
  #speak(
    stream: NetworkStream,
    { proxy, choice, forwards }: Way,
    options: Omit<Http2ConnectionOptions, 'pingIntervalMs' | 'pingTimeoutMs'>,
  ): Connection {
    const agreed = stream.getExtraInfo('tls')?.alpnProtocol
    if (agreed === 'h2' || choice === 'prior-knowledge') {
      const { pingIntervalMs, pingTimeoutMs } = this.#options.http2
      return new Http2Connection(stream, { ...options, pingIntervalMs, pingTimeoutMs })
    }
    const authorization = proxy === undefined ? undefined : authorizationFor(proxy)
    return new Http1Connection(stream, {
      ...options,
      forward: forwards ? { authorization } : undefined,
    })
  }

  #trace(step: ConnectStep, { key }: Origin, connection: number): void {
    const { tracer } = this.#options
    if (!tracer.active) return
    tracer.emit({ ...step, origin: key, connection, exchange: undefined, request: undefined })
  }

  async #connect(
    { scheme, host, port }: Origin,
    { proxy, choice, forwards }: Way,
    onStep: (step: ConnectStep) => void,
  ): Promise<NetworkStream> {
    const { backend, tls, socketPath, connectTimeoutMs, signal } = this.#options
    const options: ConnectOptions = {
      host,
      port,
      socketPath,
      tls: scheme === 'https' ? tls : undefined,
      alpnProtocols: OFFERS[choice],
      timeoutMs: connectTimeoutMs,
      signal,
      onStep,
    }
    if (proxy === undefined) return backend.connect(options)
    if (!forwards) return connectThroughProxy(backend, proxy, options)
    try {
      return await backend.connect({
        ...options,
        host: proxy.host,
        port: proxy.port,
        tls: proxy.type === 'https' ? proxy.tls : undefined,
        alpnProtocols: HTTP1_ONLY,
      })
    } catch (error) {
      throw signal.aborted ? error : toProxyFailure(error, { host, port, proxy })
    }
  }
}

/** How an origin is reached. */
interface Way {
  readonly proxy: ProxySettings | undefined
  readonly choice: Http2Choice
  /** The proxy is asked for the resource itself (RFC 9112 §3.2.2). */
  readonly forwards: boolean
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

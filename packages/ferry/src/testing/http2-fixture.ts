/** An HTTP/2 connection, or a pool of them, on a network in memory with servers played by hand. */
import { MemoryBackend, MemoryStream } from '../net/memory-backend.ts'
import type { ConnectOptions, NetworkStream, StartTlsOptions } from '../net/network-backend.ts'
import type { ResponseHandler } from '../transport/connection.ts'
import { ConnectionPool } from '../transport/connection-pool.ts'
import { Http2Connection } from '../transport/http2-connection.ts'
import { HttpRequest } from '../transport/http-request.ts'
import type { ConnectionPoolOptions, ExchangeOptions } from '../transport/pool-options.ts'
import type { PooledExchange } from '../transport/pooled-exchange.ts'
import { FakeClock } from './fake-clock.ts'
import { Http2Peer, type PeerValues } from './http2-peer.ts'
import { RecordingHandler } from './recording-handler.ts'
import { startExchange, type StartOptions } from './start-exchange.ts'

/** Lets every promise go on that can, and what was put off to the end of this turn. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** A connection, its far side, and the states it has told its owner. */
export class Http2ConnectionFixture {
  readonly clock = new FakeClock()
  readonly stream = new MemoryStream()
  readonly peer = new Http2Peer(this.stream)
  readonly states: string[] = []
  readonly connection: Http2Connection

  constructor(options: { readonly pingIntervalMs?: number; readonly pingTimeoutMs?: number } = {}) {
    this.connection = new Http2Connection(this.stream, {
      clock: this.clock,
      id: 1,
      onStateChange: ({ state }) => this.states.push(state),
      pingIntervalMs: 20_000,
      pingTimeoutMs: 10_000,
      ...options,
    })
  }

  /** A connection past the exchange of settings; what was said for it is taken. */
  static settled(values: PeerValues = {}): Http2ConnectionFixture {
    const fixture = new Http2ConnectionFixture()
    fixture.peer.settings(values)
    fixture.peer.take()
    fixture.states.length = 0
    return fixture
  }

  start(
    request: HttpRequest = new HttpRequest('GET', 'https://h/a'),
    handler: ResponseHandler = new RecordingHandler(),
    options: Partial<StartOptions> = {},
  ): PooledExchange {
    return startExchange(this.connection, request, handler, { clock: this.clock, ...options })
  }

  /** Starts an exchange and gives what records it. */
  dispatch(request?: HttpRequest, options: Partial<StartOptions> = {}): RecordingHandler {
    const handler = new RecordingHandler()
    handler.exchange = this.start(request, handler, options)
    return handler
  }

  /** Moves the clock on and lets the connection look at it, as the pool's timer does. */
  pass(ms: number): void {
    this.clock.advance(ms)
    this.connection.checkTimeouts(this.clock.now())
  }
}

/** A network on which some hosts agree to HTTP/2. */
class AlpnBackend extends MemoryBackend {
  /** What a host chooses of what it is offered; 'h2' unless told. */
  readonly choices = new Map<string, string | undefined>()

  override async connect(options: ConnectOptions): Promise<NetworkStream> {
    const stream = (await super.connect(options)) as MemoryStream
    if (options.tls !== undefined) this.#agree(stream, options)
    return stream
  }

  /** What the stream carried before is forgotten: it was for whoever made the tunnel. */
  override async startTls(stream: NetworkStream, options: StartTlsOptions): Promise<NetworkStream> {
    const inner = (await super.startTls(stream, options)) as MemoryStream
    inner.written = ''
    this.#agree(inner, options)
    return inner
  }

  #agree(
    stream: MemoryStream,
    { host, alpnProtocols = [] }: Pick<ConnectOptions, 'host' | 'alpnProtocols'>,
  ): void {
    const wanted = this.choices.has(host) ? this.choices.get(host) : 'h2'
    const alpnProtocol = wanted !== undefined && alpnProtocols.includes(wanted) ? wanted : undefined
    stream.extraInfo = { ...stream.extraInfo, tls: { ...SESSION, alpnProtocol } }
  }
}

/** A pool whose https origins speak HTTP/2 unless `backend.choices` says otherwise. */
export class Http2PoolFixture implements AsyncDisposable {
  readonly clock = new FakeClock()
  readonly backend = new AlpnBackend()
  readonly pool: ConnectionPool
  readonly #peers = new Map<MemoryStream, Http2Peer>()
  /** HTTP/2 is spoken without having been agreed on. */
  readonly #isAssumed: boolean

  constructor(options: ConnectionPoolOptions = {}) {
    this.pool = new ConnectionPool({ backend: this.backend, clock: this.clock, ...options })
    this.#isAssumed = options.http2 === 'prior-knowledge'
  }

  /** Sends a GET and records its response. */
  dispatch(url = 'https://a/', options?: ExchangeOptions): RecordingHandler {
    return this.send(new HttpRequest('GET', url), options)
  }

  send(request: HttpRequest, options?: ExchangeOptions): RecordingHandler {
    const handler = new RecordingHandler()
    handler.exchange = this.pool.dispatch(request, handler, options)
    return handler
  }

  turn(): Promise<void> {
    return turn()
  }

  /** Lets connections open, and gives the settings of those whose peers were not asked for before. */
  async open(values: PeerValues = {}): Promise<void> {
    for (let isNew = true; isNew;) {
      await turn()
      isNew = false
      for (const [index, stream] of this.backend.streams.entries()) {
        if (!this.#speaksHttp2(stream) || this.#peers.has(stream)) continue
        this.peer(index).settings(values)
        isNew = true
      }
    }
  }

  #speaksHttp2({ extraInfo }: MemoryStream): boolean {
    return this.#isAssumed || extraInfo.tls?.alpnProtocol === 'h2'
  }

  state(): string {
    return this.pool.toString()
  }

  stream(index: number): MemoryStream {
    const stream = this.backend.streams.at(index)
    if (stream === undefined) throw new RangeError(`No connection ${index} was opened`)
    return stream
  }

  /** The far side of a connection, counted in the order they were opened. */
  peer(index = -1): Http2Peer {
    const stream = this.stream(index)
    let peer = this.#peers.get(stream)
    if (peer === undefined) {
      peer = new Http2Peer(stream)
      this.#peers.set(stream, peer)
    }
    return peer
  }

  /** The paths that each connection was asked for; none of those that do not speak HTTP/2. */
  paths(): string[][] {
    return this.backend.streams.map((stream, index) => {
      if (!this.#speaksHttp2(stream)) return []
      const peer = this.peer(index)
      peer.take()
      return peer.requests.map(({ fields }) => fields.get(':path') ?? '')
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.pool.close()
  }
}

const SESSION = {
  version: 'TLSv1.3',
  cipher: 'TLS_AES_128_GCM_SHA256',
  resumed: false,
  authorized: true,
  certificateSha256: undefined,
}

/** Any order of events leaves a pool that speaks HTTP/2 with nothing lost, nothing held and nothing mixed up. */
import { getEventListeners } from 'node:events'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ConnectError } from '../errors.ts'
import type { ErrorCodeName } from '../protocol/http2/error-code.ts'
import { Http2PoolFixture } from '../testing/http2-fixture.ts'
import type { Http2Peer, PeerRequest, PeerValues } from '../testing/http2-peer.ts'
import { CLOSING_HELLO, HELLO } from '../testing/pool-fixture.ts'
import { RecordingHandler } from '../testing/recording-handler.ts'
import { HttpRequest } from './http-request.ts'

const LIMITS = { maxConnections: 4, maxConnectionsPerOrigin: 2 }
const TIMES = {
  poolTimeoutMs: 2_000,
  headersTimeoutMs: 1_500,
  bodyTimeoutMs: 1_000,
  totalTimeoutMs: 6_000,
  idleTimeoutMs: 1_000,
  maxRequestsPerConnection: 12,
  pingIntervalMs: 1_200,
  pingTimeoutMs: 600,
}
const MAX_OPENED = 200
const CODES: readonly ErrorCodeName[] = ['REFUSED_STREAM', 'NO_ERROR', 'CANCEL', 'INTERNAL_ERROR']
const HTTP1 = [HELLO, CLOSING_HELLO, 'rubbish', 'HTTP/1.1 101 Switching Protocols\r\n\r\n']

/** What a server does on one stream. */
type StreamAct =
  | { act: 'information' | 'head' | 'refusal' | 'data' | 'end' | 'answer'; request: number }
  | { act: 'reset'; request: number; code: ErrorCodeName }
  | { act: 'widen'; request: number; bytes: number }

type ServerAct =
  | StreamAct
  | { act: 'settings'; values: PeerValues }
  | { act: 'goaway'; keep: number }
  | { act: 'ping' | 'fault' }

type Event =
  | { type: 'dispatch'; kind: number; host: string }
  | { type: 'abort' | 'resume'; which: number }
  | { type: 'serve'; which: number; server: ServerAct }
  | { type: 'end' | 'break' | 'stall' | 'flush'; which: number }
  | { type: 'advance'; ms: number }
  | { type: 'refuse'; on: boolean }
  | { type: 'turn' }

const which = fc.nat({ max: 20 })
const request = fc.nat({ max: 8 })
const values: fc.Arbitrary<PeerValues> = fc.record(
  {
    maxStreams: fc.constantFrom(0, 1, 2, 5, 100),
    windowBytes: fc.constantFrom(0, 5, 65_535, 1_000_000),
    connectProtocol: fc.constant(true),
  },
  { requiredKeys: [] },
)
const serverArbitrary: fc.Arbitrary<ServerAct> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ act: fc.constant('settings' as const), values }) },
  {
    weight: 12,
    arbitrary: fc.record({
      act: fc.constantFrom(
        'information' as const,
        'head' as const,
        'refusal' as const,
        'data' as const,
        'end' as const,
        'answer' as const,
        'answer' as const,
      ),
      request,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      act: fc.constant('reset' as const),
      request,
      code: fc.constantFrom(...CODES),
    }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('goaway' as const), keep: request }) },
  {
    weight: 1,
    arbitrary: fc.record({
      act: fc.constantFrom('ping' as const, 'ping' as const, 'fault' as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      act: fc.constant('widen' as const),
      request,
      bytes: fc.constantFrom(1, 1000, 100_000),
    }),
  },
)
const eventArbitrary: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant('dispatch' as const),
      kind: fc.nat({ max: 7 }),
      host: fc.constantFrom('a', 'a', 'b', 'old'),
    }),
  },
  { weight: 6, arbitrary: fc.constant({ type: 'turn' as const }) },
  {
    weight: 14,
    arbitrary: fc.record({ type: fc.constant('serve' as const), which, server: serverArbitrary }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constantFrom('abort' as const, 'resume' as const), which }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constantFrom('end' as const, 'break' as const, 'stall' as const, 'flush' as const),
      which,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('advance' as const), ms: fc.nat({ max: 1_200 }) }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('refuse' as const), on: fc.boolean() }) },
)

/** A handler that sees to it that it is told of one head and one end, and of nothing behind that. */
class StrictHandler extends RecordingHandler {
  heads = 0
  ends = 0
  late = 0
  content = ''
  completed = false

  override onHead(...args: Parameters<RecordingHandler['onHead']>): void {
    super.onHead(...args)
    this.heads++
    this.#note()
  }

  override onContent(bytes: Buffer): boolean {
    this.content += bytes.toString('latin1')
    this.#note()
    return this.flowing
  }

  override onComplete(): void {
    this.completed = true
    this.#note()
    this.ends++
  }

  override onError(): void {
    this.#note()
    this.ends++
  }

  #note(): void {
    if (this.ends > 0) this.late++
  }
}

class UpgradingHandler extends StrictHandler {
  onUpgrade(_: unknown, stream: { close(): void }): void {
    this.ends++
    stream.close()
  }
}

async function* slowContent(): AsyncGenerator<Uint8Array> {
  for (let piece = 0; piece < 3; piece++) {
    await Promise.resolve()
    yield Buffer.alloc(20_000, 'x')
  }
}

/** What the server must have got when a request of that kind has ended. */
const SENT: readonly string[] = ['', 'xyz', 'x'.repeat(60_000), 'held', '', '', 'x'.repeat(100_000)]

function createRequest(kind: number, url: string): HttpRequest {
  switch (kind) {
    case 1:
      return new HttpRequest('POST', url, { content: 'xyz' })
    case 2:
      return new HttpRequest('PUT', url, { content: slowContent() })
    case 3:
      return new HttpRequest('PUT', url, { content: 'held', headers: { Expect: '100-continue' } })
    case 4:
      return new HttpRequest('GET', url, { headers: { Upgrade: 'x' } })
    case 6:
      return new HttpRequest('PUT', url, { content: Buffer.alloc(100_000, 'x') })
    default:
      return new HttpRequest('GET', url)
  }
}

/** What one server has said, so that it says nothing that breaks the rules unless it means to. */
class Server {
  readonly peer: Http2Peer
  /** Streams that may be open at once, since the client has said that it knows. */
  #limit = Number.POSITIVE_INFINITY
  readonly #limits: number[] = []
  #saidSettings = false
  #connectProtocol = false
  readonly #heads = new Set<number>()
  /** Windows beyond what their frames can say are of no interest here. */
  #widened = 0

  constructor(peer: Http2Peer) {
    this.peer = peer
  }

  /** Reads what has come, and holds it against what was allowed. */
  read(): void {
    for (const line of this.peer.take()) {
      if (line === 'SETTINGS ack') {
        this.#limit = this.#limits.shift() ?? this.#limit
      } else if (/^HEADERS \d+( end)? [A-Z]/.test(line) && this.#saidSettings) {
        const id = Number(line.split(' ')[1])
        const open = this.peer.requests.filter((one) => one.id <= id && !this.peer.isOver(one))
        expect(open.length).toBeLessThanOrEqual(this.#limit)
      }
    }
    for (const { fields, content, ended } of this.peer.requests) {
      const kind = Number(fields.get(':path')?.split('-')[1])
      if (ended) expect(content).toBe(SENT[kind] ?? '')
    }
  }

  act(server: ServerAct): void {
    const { peer } = this
    if (peer.stream.closed) return
    if (!this.#saidSettings) this.#settings(server.act === 'settings' ? server.values : {})
    if (server.act === 'settings') this.#settings(server.values)
    else if (server.act === 'ping') peer.ping()
    else if (server.act === 'fault') peer.data(0, 'x')
    else if (server.act === 'goaway') peer.goAway(peer.requests.at(-1 - server.keep)?.id ?? 0)
    else this.#actOnOne(server as StreamAct)
  }

  #actOnOne(server: StreamAct): void {
    const open = this.#open
    const one = open[server.request % open.length]
    if (one !== undefined) this.#actOn(one, server)
  }

  get #open(): PeerRequest[] {
    this.read()
    return this.peer.open
  }

  #settings(wanted: PeerValues): void {
    this.#saidSettings = true
    // It may not be taken back (RFC 8441 §3).
    this.#connectProtocol ||= wanted.connectProtocol === true
    this.#limits.push(wanted.maxStreams ?? this.#limits.at(-1) ?? this.#limit)
    this.peer.settings({ ...wanted, connectProtocol: this.#connectProtocol })
    this.read()
  }

  #actOn({ id, fields }: PeerRequest, server: StreamAct): void {
    const { peer } = this
    const path = `${fields.get(':path')} `
    const hasHead = this.#heads.has(id)
    switch (server.act) {
      case 'widen':
        this.#widened += server.bytes
        if (this.#widened > 2_000_000_000) return
        peer.widen(server.bytes)
        peer.widen(server.bytes, id)
        return
      case 'reset':
        peer.reset(id, server.code)
        return
      case 'information':
        if (!hasHead) peer.head(id, 100)
        return
      case 'head':
      case 'refusal':
        if (!hasHead) peer.head(id, server.act === 'head' ? 200 : 503)
        this.#heads.add(id)
        return
      case 'data':
        if (hasHead && peer.windowOf(id) > 100) peer.data(id, path)
        return
      case 'end':
      case 'answer':
        if (!hasHead && server.act === 'end') return
        if (!hasHead) peer.head(id, 200)
        this.#heads.add(id)
        peer.data(id, path, true)
        return
      default:
        server satisfies never
    }
  }
}

/** A pool in the middle of whatever happened to it. */
class Run {
  readonly fixture = new Http2PoolFixture({ ...LIMITS, ...TIMES })
  readonly handlers: StrictHandler[] = []
  readonly aborts: AbortController[] = []
  readonly #servers: Server[] = []
  #asksForProtocols = false

  constructor() {
    const { backend } = this.fixture
    backend.choices.set('old', 'http/1.1')
    // A pool that opens and closes connections for ever would never let this turn end.
    const connect = backend.connect.bind(backend)
    backend.connect = (options) =>
      backend.streams.length < MAX_OPENED
        ? connect(options)
        : Promise.reject(new ConnectError('connect', 'too many were opened'))
  }

  async apply(event: Event): Promise<void> {
    const { fixture } = this
    const { streams } = fixture.backend
    const place = 'which' in event ? event.which % Math.max(1, streams.length) : 0
    const stream = 'which' in event ? streams[place] : undefined
    switch (event.type) {
      case 'dispatch':
        return this.#dispatch(event.kind, event.host)
      case 'turn':
        return fixture.turn()
      case 'serve':
        if (stream?.extraInfo.tls?.alpnProtocol === 'h2')
          return this.#serverOf(place).act(event.server)
        return stream?.send(HTTP1[event.which % HTTP1.length] ?? '')
      case 'end':
        return stream?.sendEnd()
      case 'break':
        return stream?.fail(new Error('reset'))
      case 'stall':
        if (stream !== undefined) stream.stalled = true
        return undefined
      case 'flush':
        return stream?.flush()
      case 'abort':
        return this.aborts[event.which]?.abort(new Error('enough'))
      case 'resume':
        return this.handlers[event.which]?.exchange?.resume()
      case 'advance':
        return fixture.clock.advance(event.ms)
      case 'refuse':
        fixture.backend.refuse = event.on ? new ConnectError('connect', 'refused') : undefined
        return undefined
      default:
        return event satisfies never
    }
  }

  #serverOf(index: number): Server {
    this.#servers[index] ??= new Server(this.fixture.peer(index))
    return this.#servers[index]
  }

  #dispatch(kind: number, host: string): void {
    const handler = kind === 4 ? new UpgradingHandler() : new StrictHandler()
    handler.flowing = kind !== 5
    const abort = new AbortController()
    const url = `https://${host}/${this.handlers.length}-${kind}`
    this.handlers.push(handler)
    this.aborts.push(abort)
    this.#asksForProtocols ||= kind === 4
    const options = { signal: abort.signal }
    handler.exchange = this.fixture.pool.dispatch(createRequest(kind, url), handler, options)
  }

  check(): void {
    const { active, idle, connecting, origins } = this.fixture.pool.metrics()
    expect(active + idle + connecting).toBeLessThanOrEqual(LIMITS.maxConnections)
    const most = LIMITS.maxConnectionsPerOrigin * (this.#asksForProtocols ? 2 : 1)
    for (const counts of Object.values(origins)) {
      const open = counts.active + counts.idle + counts.connecting
      expect(open).toBeLessThanOrEqual(most)
      expect(Math.min(counts.active, counts.idle, counts.connecting)).toBeGreaterThanOrEqual(0)
    }
    for (const server of this.#servers) server?.read()
    for (const [index, { heads, ends, late, content }] of this.handlers.entries()) {
      expect([heads, ends, late].map((count, at) => count <= (at === 2 ? 0 : 1))).not.toContain(
        false,
      )
      // Nobody gets what was meant for another.
      for (const piece of content.split(' ')) {
        if (piece.startsWith('/')) expect(piece).toMatch(new RegExp(`^/${index}-`))
      }
    }
  }

  /** Lets every limit pass; then all is over. */
  async finish(): Promise<void> {
    const { fixture } = this
    for (let round = 0; round < 12; round++) {
      await fixture.turn()
      fixture.clock.advance(1_500)
      this.check()
    }
    await fixture.turn()
    fixture.clock.advance(1_500)
    this.#expectNothing()
    expect(fixture.backend.streams.length).toBeLessThan(MAX_OPENED)
    const { created, closed, upgraded } = fixture.pool.metrics()
    expect(closed + upgraded).toBe(created)
  }

  async close(): Promise<void> {
    await this.fixture.pool.close()
    for (let turn = 0; turn < 5; turn++) await this.fixture.turn()
    // What came whole may be read on when its connection is gone.
    for (const handler of this.handlers) {
      handler.flowing = true
      handler.exchange?.resume()
    }
    this.#expectNothing()
  }

  #expectNothing(): void {
    const { fixture } = this
    expect(fixture.state()).toBe('empty')
    expect(fixture.clock.pending).toBe(0)
    expect(this.handlers.map(({ ends, late }) => [ends, late])).toEqual(
      this.handlers.map(() => [1, 0]),
    )
    expect(fixture.backend.streams.every(({ closed }) => closed)).toBe(true)
    for (const { signal } of this.aborts) {
      expect(getEventListeners(signal, 'abort')).toHaveLength(0)
    }
  }
}

async function play(events: readonly Event[]): Promise<Run> {
  const run = new Run()
  for (const event of events) {
    await run.apply(event)
    run.check()
  }
  return run
}

const RUNS = process.env['FERRY_FUZZ_RUNS']

test('a pool over HTTP/2 keeps every limit, ends each exchange once and lets go of everything', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(eventArbitrary, { maxLength: 70, size: 'max' }), async (events) => {
      const run = await play(events)
      await run.finish()
    }),
    { numRuns: Number(RUNS ?? 150) },
  )
})

test('a pool over HTTP/2 that is closed at any moment ends each exchange once and holds nothing', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(eventArbitrary, { maxLength: 40, size: 'max' }), async (events) => {
      const run = await play(events)
      await run.close()
    }),
    { numRuns: Number(RUNS ?? 150) },
  )
})

/** Any order of events leaves a pool that has lost nothing and holds nothing. */
import { getEventListeners } from 'node:events'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ConnectError } from '../errors.ts'
import { CLOSING_HELLO, HELLO, PoolFixture } from '../testing/pool-fixture.ts'
import { RecordingHandler } from '../testing/recording-handler.ts'
import { HttpRequest } from './http-request.ts'

const LIMITS = { maxConnections: 3, maxConnectionsPerOrigin: 2 }
const TIMES = {
  poolTimeoutMs: 2_000,
  headersTimeoutMs: 1_500,
  bodyTimeoutMs: 1_000,
  totalTimeoutMs: 6_000,
  idleTimeoutMs: 1_000,
  maxRequestsPerConnection: 4,
}
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\n\r\nrest'
const WIRE = [
  HELLO,
  HELLO.slice(0, 20),
  HELLO.slice(20),
  CLOSING_HELLO,
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 204 No Content\r\nKeep-Alive: timeout=1\r\n\r\n',
  'HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\n\r\nuntil the end',
  SWITCHING,
  'rubbish',
]

type Event =
  | { type: 'dispatch'; kind: number; host: string }
  | { type: 'abort' | 'resume'; which: number }
  | { type: 'send'; which: number; wire: string }
  | { type: 'end' | 'break' | 'stall' | 'flush'; which: number }
  | { type: 'advance'; ms: number }
  | { type: 'refuse'; on: boolean }
  | { type: 'turn' }

const which = fc.nat({ max: 20 })
const eventArbitrary: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('dispatch' as const),
      kind: fc.nat({ max: 5 }),
      host: fc.constantFrom('a', 'b', 'c'),
    }),
  },
  { weight: 6, arbitrary: fc.constant({ type: 'turn' as const }) },
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant('send' as const),
      which,
      wire: fc.constantFrom(...WIRE),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constantFrom('abort' as const, 'resume' as const), which }),
  },
  {
    weight: 3,
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

/** A handler that sees to it that it is told of one end only. */
class StrictHandler extends RecordingHandler {
  ends = 0

  override onComplete(...args: Parameters<RecordingHandler['onComplete']>): void {
    super.onComplete(...args)
    this.ends++
  }

  override onError(...args: Parameters<RecordingHandler['onError']>): void {
    super.onError(...args)
    this.ends++
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
    yield Buffer.alloc(20_000)
  }
}

function createRequest(kind: number, url: string): HttpRequest {
  switch (kind) {
    case 1:
      return new HttpRequest('POST', url, { content: 'xyz' })
    case 2:
      return new HttpRequest('PUT', url, { content: slowContent() })
    case 3:
      return new HttpRequest('PUT', url, { content: 'x', headers: { Expect: '100-continue' } })
    case 4:
      return new HttpRequest('GET', url, { headers: { Upgrade: 'x' } })
    default:
      return new HttpRequest('GET', url)
  }
}

/** A pool in the middle of whatever happened to it. */
class Run {
  readonly fixture = new PoolFixture({ ...LIMITS, ...TIMES })
  readonly handlers: StrictHandler[] = []
  readonly aborts: AbortController[] = []

  async apply(event: Event): Promise<void> {
    const { fixture } = this
    const { streams } = fixture.backend
    const stream = 'which' in event ? streams[event.which % streams.length] : undefined
    const handler = 'which' in event ? this.handlers[event.which] : undefined
    switch (event.type) {
      case 'dispatch':
        return this.#dispatch(event.kind, event.host)
      case 'turn':
        return fixture.turn()
      case 'send':
        return stream?.send(event.wire)
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
        return handler?.exchange?.resume()
      case 'advance':
        return fixture.clock.advance(event.ms)
      case 'refuse':
        fixture.backend.refuse = event.on ? new ConnectError('connect', 'refused') : undefined
        return undefined
      default:
        return event satisfies never
    }
  }

  #dispatch(kind: number, host: string): void {
    const handler = kind === 4 ? new UpgradingHandler() : new StrictHandler()
    handler.flowing = kind !== 5
    const abort = new AbortController()
    this.handlers.push(handler)
    this.aborts.push(abort)
    const request = createRequest(kind, `http://${host}/${this.handlers.length}`)
    this.fixture.pool.dispatch(request, handler, { signal: abort.signal })
  }

  check(): void {
    const { open, ...metrics } = this.#counts()
    expect(open).toBeLessThanOrEqual(LIMITS.maxConnections)
    for (const origin of Object.values(metrics.origins)) {
      const { active, idle, connecting } = origin
      expect(active + idle + connecting).toBeLessThanOrEqual(LIMITS.maxConnectionsPerOrigin)
      expect(Math.min(active, idle, connecting)).toBeGreaterThanOrEqual(0)
    }
    for (const handler of this.handlers) expect(handler.ends).toBeLessThanOrEqual(1)
  }

  #counts() {
    const metrics = this.fixture.pool.metrics()
    return { ...metrics, open: metrics.active + metrics.idle + metrics.connecting }
  }

  /** Lets every limit pass; then all is over. */
  async finish(): Promise<void> {
    const { fixture } = this
    for (let round = 0; round < 12; round++) {
      await fixture.turn()
      fixture.clock.advance(1_500)
    }
    await fixture.turn()
    fixture.clock.advance(1_500)
    expect(fixture.state()).toBe('empty')
    expect(fixture.clock.pending).toBe(0)
    expect(this.handlers.map(({ ends }) => ends)).toEqual(this.handlers.map(() => 1))
    expect(fixture.backend.streams.every(({ closed }) => closed)).toBe(true)
    for (const { signal } of this.aborts) {
      expect(getEventListeners(signal, 'abort')).toHaveLength(0)
    }
    const { created, closed, upgraded } = fixture.pool.metrics()
    expect(closed + upgraded).toBe(created)
  }
}

test('a pool keeps its limits, ends each exchange once and lets go of everything', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(eventArbitrary, { maxLength: 60, size: 'max' }), async (events) => {
      const run = new Run()
      for (const event of events) {
        await run.apply(event)
        run.check()
      }
      await run.finish()
    }),
    { numRuns: Number(process.env['FERRY_FUZZ_RUNS'] ?? 300) },
  )
})

test('a pool that is closed at any moment ends each exchange once and holds nothing', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(eventArbitrary, { maxLength: 30, size: 'max' }), async (events) => {
      const run = new Run()
      for (const event of events) await run.apply(event)
      await run.fixture.pool.close()
      for (let turn = 0; turn < 5; turn++) await run.fixture.turn()

      expect(run.handlers.map(({ ends }) => ends)).toEqual(run.handlers.map(() => 1))
      expect(run.fixture.state()).toBe('empty')
      expect(run.fixture.clock.pending).toBe(0)
      expect(run.fixture.backend.streams.every(({ closed }) => closed)).toBe(true)
    }),
    { numRuns: Number(process.env['FERRY_FUZZ_RUNS'] ?? 200) },
  )
})

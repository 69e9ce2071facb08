/** How exchanges fail: GOAWAY, RST_STREAM, a connection that breaks, a peer that breaks the rules. */
import { expect, test } from 'vitest'
import { RemoteProtocolError, StreamError } from '../errors.ts'
import { type ErrorCodeName } from '../protocol/http2/error-code.ts'
import { FrameType, Setting } from '../protocol/http2/frame-table.ts'
import { Http2ConnectionFixture, turn } from '../testing/http2-fixture.ts'
import {
  continuation,
  data,
  frame,
  goAway,
  headers,
  settings,
  windowUpdate,
} from '../testing/http2-frames.ts'
import { headOf, responseOf } from '../testing/http2-peer.ts'
import type { ExchangeFailure, ExchangeTask } from './connection.ts'
import { HttpRequest } from './http-request.ts'

const REQUEST = new HttpRequest('GET', 'https://h/a')

/** A task that writes down how it failed. */
class RecordingTask implements ExchangeTask {
  readonly request = REQUEST
  readonly totalDeadline = Number.POSITIVE_INFINITY
  readonly trace = undefined
  readonly untaken = false
  readonly takesUpgrade = false
  readonly timeouts = {
    headersTimeoutMs: 60_000,
    bodyTimeoutMs: 60_000,
    continueTimeoutMs: 1000,
    totalTimeoutMs: Number.POSITIVE_INFINITY,
  }
  readonly events: string[] = []
  readonly failures: ExchangeFailure[] = []
  error: Error | undefined
  react = (_event: string): void => {}

  onInformation(): void {
    this.#note('information')
  }

  onHead(): void {
    this.#note('head')
  }

  onContent(bytes: Buffer): boolean {
    this.#note(`content ${bytes.toString()}`)
    return true
  }

  contentBuffer(): undefined {
    return undefined
  }

  onComplete(): void {
    this.#note('complete')
  }

  onError(error: Error, how: ExchangeFailure): void {
    this.error = error
    this.failures.push(how)
    this.#note('error')
  }

  onUpgrade(): void {
    this.#note('upgrade')
  }

  #note(event: string): void {
    this.events.push(event)
    this.react(event)
  }
}

/** A settled connection with some exchanges under way. */
async function running(
  count: number,
): Promise<Http2ConnectionFixture & { tasks: RecordingTask[] }> {
  const fixture = Http2ConnectionFixture.settled()
  const tasks = Array.from({ length: count }, () => new RecordingTask())
  for (const task of tasks) fixture.connection.start(task, fixture.clock.now())
  await turn()
  fixture.peer.take()
  fixture.states.length = 0
  return Object.assign(fixture, { tasks })
}

const LOST = { isLoss: true, wasLeaving: false, unprocessed: false }
const RESET = { isLoss: false, wasLeaving: false, unprocessed: false }
const REFUSED = { responseStarted: false, isLoss: false, wasLeaving: false, unprocessed: true }
const UNPROCESSED = { ...REFUSED, wasLeaving: true }

test('GOAWAY closes an idle Http2Connection', async () => {
  const fixture = await running(0)

  fixture.peer.goAway(0)

  expect(fixture.states).toEqual(['closed'])
  expect(fixture.stream.closed).toBe(true)
  expect(fixture.peer.take()).toEqual(['GOAWAY 0 NO_ERROR'])
})

test('GOAWAY lets what the peer took on end, then the Http2Connection closes', async () => {
  const fixture = await running(2)
  const { connection, peer, tasks } = fixture

  peer.goAway(3)
  const during = { state: connection.state, capacity: connection.capacity }
  peer.respond(1)
  peer.respond(3)

  expect(during).toEqual({ state: 'active', capacity: 0 })
  expect(tasks.map(({ events }) => events)).toEqual([
    ['head', 'content hello', 'complete'],
    ['head', 'content hello', 'complete'],
  ])
  expect(connection.state).toBe('closed')
  expect(peer.take()).toEqual(['GOAWAY 0 NO_ERROR'])
})

test.each([1, 2, 3])('GOAWAY gives back what the peer has not taken on, of %i', async (count) => {
  const fixture = await running(count)

  fixture.peer.goAway(0, 'ENHANCE_YOUR_CALM')

  expect(fixture.tasks.map(({ failures }) => failures)).toEqual(
    fixture.tasks.map(() => [UNPROCESSED]),
  )
  expect(fixture.tasks[0]?.error?.message).toBe(
    'Cannot finish GET https://h/a: the server did not take it up (ENHANCE_YOUR_CALM) before the response',
  )
  expect(fixture.connection.state).toBe('closed')
})

test('GOAWAY may come twice, the second time for fewer', async () => {
  const { connection, peer, tasks } = await running(3)

  peer.goAway(2 ** 31 - 1)
  peer.goAway(3)
  peer.respond(1)
  peer.respond(3)

  expect(tasks.map(({ events }) => events.at(-1))).toEqual(['complete', 'complete', 'error'])
  expect(tasks[2]?.failures).toEqual([UNPROCESSED])
  expect(connection.state).toBe('closed')
})

test('GOAWAY does not give back what has begun to be answered', async () => {
  const { peer, tasks } = await running(2)
  peer.head(3, 200)

  peer.goAway(1)

  expect(tasks[1]?.failures).toEqual([{ ...RESET, wasLeaving: true, responseStarted: true }])
})

test('GOAWAY is named when the connection breaks after it', async () => {
  const { peer, stream, tasks } = await running(1)

  peer.goAway(1, 'INTERNAL_ERROR')
  stream.sendEnd()

  expect(tasks[0]?.failures).toEqual([{ ...LOST, wasLeaving: true, responseStarted: false }])
  expect(tasks[0]?.error?.message).toContain('the server closed the connection (INTERNAL_ERROR)')
})

const CODES: readonly ErrorCodeName[] = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'STREAM_CLOSED',
  'CANCEL',
  'ENHANCE_YOUR_CALM',
  'HTTP_1_1_REQUIRED',
]

test.each(CODES)('RST_STREAM %s fails its exchange and no other', async (code) => {
  const { connection, peer, tasks } = await running(2)

  peer.reset(1, code)
  peer.respond(3)

  expect(tasks[0]?.failures).toEqual([{ ...RESET, responseStarted: false }])
  expect(tasks[0]?.error).toBeInstanceOf(StreamError)
  expect(tasks[0]?.error?.message).toContain(`the server ended the stream (${code})`)
  expect(tasks[1]?.events.at(-1)).toBe('complete')
  expect(connection.state).toBe('idle')
})

test('RST_STREAM with a code that nobody knows is told by its number', async () => {
  const { peer, tasks } = await running(1)

  peer.reset(1, 0xbeef)

  expect(tasks[0]?.error?.message).toContain('(code 48879)')
})

test('RST_STREAM in the middle of content tells how far it came', async () => {
  const { peer, tasks } = await running(1)
  peer.head(1, 200, [['content-length', '10']])
  peer.data(1, 'four')

  peer.reset(1, 'INTERNAL_ERROR')

  expect(tasks[0]?.error).toMatchObject({ bytesReceived: 4, expectedBytes: 10 })
  expect(tasks[0]?.failures).toEqual([{ ...RESET, responseStarted: true }])
})

test('REFUSED_STREAM gives an exchange back, and the connection takes no more than it has', async () => {
  const { connection, peer, states, tasks } = await running(4)

  peer.reset(7, 'REFUSED_STREAM')

  expect(tasks[3]?.failures).toEqual([REFUSED])
  expect(connection.capacity).toBe(0)
  expect(states).toEqual(['active'])
  peer.respond(1)
  // One has left, and that it was served shows that there may be room for one more.
  expect(connection.capacity).toBe(2)
})

test('REFUSED_STREAM of the only exchange leaves the connection open for one more', async () => {
  const { connection, peer, tasks } = await running(1)

  peer.reset(1, 'REFUSED_STREAM')

  expect(tasks[0]?.failures).toEqual([REFUSED])
  expect(connection.state).toBe('idle')
  expect(connection.capacity).toBeGreaterThan(0)
})

test('REFUSED_STREAM behind a head is a failure like others', async () => {
  const { peer, tasks } = await running(1)
  peer.head(1, 200)

  peer.reset(1, 'REFUSED_STREAM')

  expect(tasks[0]?.failures).toEqual([{ ...RESET, responseStarted: true }])
})

test.each([
  [
    'ends',
    (fixture: Http2ConnectionFixture) => fixture.stream.sendEnd(),
    'the server closed the connection',
  ],
  ['breaks', (fixture: Http2ConnectionFixture) => fixture.stream.fail(new Error('reset')), 'reset'],
])('a connection that %s loses each exchange once, in their order', async (_, happen, why) => {
  const fixture = await running(4)
  const { connection, peer, tasks } = fixture
  peer.head(3, 200, [['content-length', '9']])
  peer.data(3, 'part')
  peer.respond(5)
  const order: number[] = []
  for (const [index, task] of tasks.entries()) {
    task.react = () => {
      expect(connection.state).toBe('closed')
      order.push(index)
    }
  }

  happen(fixture)
  connection.close()

  expect(order).toEqual([0, 1, 3])
  expect(tasks.map(({ failures }) => failures)).toEqual([
    [{ ...LOST, responseStarted: false }],
    [{ ...LOST, responseStarted: true }],
    [],
    [{ ...LOST, responseStarted: false }],
  ])
  expect(tasks[1]?.error).toMatchObject({ bytesReceived: 4, expectedBytes: 9 })
  expect(tasks[0]?.error?.message).toBe(`Cannot finish GET https://h/a: ${why} before the response`)
  expect(fixture.states.at(-1)).toBe('closed')
  expect(fixture.states.filter((state) => state === 'closed')).toHaveLength(1)
})

test('an Http2Connection may lose everything in the callback of one of its exchanges', async () => {
  const { connection, peer, tasks } = await running(3)
  const reason = new Error('stop it all')
  const [first] = tasks
  if (first !== undefined) first.react = () => connection.close(reason)

  peer.send(...responseOf(1), ...responseOf(3), ...responseOf(5))

  expect(tasks.map(({ events }) => events)).toEqual([['head', 'error'], ['error'], ['error']])
  expect(tasks.map(({ error }) => error)).toEqual([reason, reason, reason])
})

const faults: readonly [string, ErrorCodeName, Buffer][] = [
  [
    'a frame that is too long',
    'FRAME_SIZE_ERROR',
    frame(FrameType.DATA, { streamId: 1, payload: 'x'.repeat(16_385) }),
  ],
  ['DATA on stream 0', 'PROTOCOL_ERROR', data(0, 'x')],
  ['a stream of the server', 'PROTOCOL_ERROR', headOf(2, 200)],
  ['a stream that was never opened', 'PROTOCOL_ERROR', headOf(99, 200)],
  [
    'a pushed response',
    'PROTOCOL_ERROR',
    frame(FrameType.PUSH_PROMISE, { streamId: 1, payload: '\0\0\0\u0002' }),
  ],
  ['a window update of 0', 'PROTOCOL_ERROR', windowUpdate(0, 0)],
  ['a window that overflows', 'FLOW_CONTROL_ERROR', windowUpdate(0, 0x7fff_ffff)],
  ['a header block that is no HPACK', 'COMPRESSION_ERROR', headers(1, Buffer.of(0xff, 0xff, 0xff))],
  ['CONTINUATION without a block', 'PROTOCOL_ERROR', continuation(1, '')],
  ['a bad setting', 'FLOW_CONTROL_ERROR', settings([Setting.INITIAL_WINDOW_SIZE, 0x8000_0000])],
  [
    'GOAWAY for more than before',
    'PROTOCOL_ERROR',
    Buffer.concat([goAway(3, 'NO_ERROR'), goAway(5, 'NO_ERROR')]),
  ],
]

test.each(faults)('an Http2Connection says what was wrong with %s: %s', async (_, code, bytes) => {
  const { connection, peer, stream, tasks } = await running(3)
  peer.head(3, 200)

  peer.send(bytes)

  expect(peer.take().at(-1)).toBe(`GOAWAY 0 ${code}`)
  expect(stream.closed).toBe(true)
  expect(connection.state).toBe('closed')
  const failed = tasks.filter(({ error }) => error instanceof RemoteProtocolError)
  expect(failed.length).toBeGreaterThanOrEqual(2)
  for (const { error, failures } of failed) {
    expect(error).toMatchObject({ code: 'remote-protocol', detail: { http2Code: code } })
    expect(failures).toMatchObject([{ isLoss: false, unprocessed: false }])
  }
  expect(tasks.map(({ failures }) => failures[0]?.responseStarted)).toEqual([false, true, false])
})

test('an Http2Connection gives up a peer that does not begin with settings', () => {
  const fixture = new Http2ConnectionFixture()
  fixture.peer.take()
  const handler = fixture.dispatch()

  fixture.peer.ping()

  expect(handler.error).toBeInstanceOf(RemoteProtocolError)
  expect(fixture.peer.take().at(-1)).toBe('GOAWAY 0 PROTOCOL_ERROR')
})

const streamFaults: readonly [string, ErrorCodeName, Buffer[]][] = [
  ['content before a head', 'PROTOCOL_ERROR', [data(1, 'x')]],
  ['a head without a status', 'PROTOCOL_ERROR', [headers(1, [['a', 'b']])]],
  ['101', 'PROTOCOL_ERROR', [headOf(1, 101)]],
  ['a field of HTTP/1.1', 'PROTOCOL_ERROR', [headOf(1, 200, [['connection', 'close']])]],
  [
    'too little content',
    'PROTOCOL_ERROR',
    [headOf(1, 200, [['content-length', '5']]), data(1, 'x', { endStream: true })],
  ],
  [
    'too much content',
    'PROTOCOL_ERROR',
    [headOf(1, 200, [['content-length', '5']]), data(1, 'toolong')],
  ],
  ['a second head', 'PROTOCOL_ERROR', [headOf(1, 200), headOf(1, 200)]],
  ['a window update of 0', 'PROTOCOL_ERROR', [windowUpdate(1, 0)]],
  ['a window that overflows', 'FLOW_CONTROL_ERROR', [windowUpdate(1, 0x7fff_ffff)]],
]

test.each(streamFaults)(
  'an Http2Connection resets only the stream with %s: %s',
  async (_, code, frames) => {
    const { connection, peer, tasks } = await running(2)

    peer.send(...frames)
    peer.respond(3)

    expect(peer.take()).toEqual([`RST_STREAM 1 ${code}`])
    expect(tasks[0]?.error).toMatchObject({ code: 'remote-protocol', detail: { http2Code: code } })
    expect(tasks[0]?.failures).toHaveLength(1)
    expect(tasks[1]?.events.at(-1)).toBe('complete')
    expect(connection.state).toBe('idle')
  },
)

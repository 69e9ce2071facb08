/** Content of requests: inline and by a sender, at the peer's pace, held back, and cut short. */
import { expect, test } from 'vitest'
import { LocalProtocolError } from '../errors.ts'
import { Http2ConnectionFixture, turn } from '../testing/http2-fixture.ts'
import type { RecordingHandler } from '../testing/recording-handler.ts'
import { HttpRequest } from './http-request.ts'

const URL = 'https://h/up'
const WINDOW = 65_535

function post(content: ConstructorParameters<typeof HttpRequest>[2]): HttpRequest {
  return new HttpRequest('POST', URL, content)
}

/** Pieces that are asked for one by one, and what became of them. */
class Source {
  asked = 0
  returned = 0
  readonly #pieces: readonly (string | Error)[]
  readonly #endless: boolean

  constructor(pieces: readonly (string | Error)[], { endless = false } = {}) {
    this.#pieces = pieces
    this.#endless = endless
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (const piece of this.#pieces) {
        this.asked++
        await turn()
        if (piece instanceof Error) throw piece
        yield Buffer.from(piece)
      }
      if (this.#endless) await new Promise(() => {})
    } finally {
      this.returned++
    }
  }
}

async function turns(count = 8): Promise<void> {
  for (let done = 0; done < count; done++) await turn()
}

test('content that is small goes with the head, in one write', async () => {
  const fixture = Http2ConnectionFixture.settled()

  fixture.dispatch(post({ content: 'hello' }))
  await turn()

  expect(fixture.peer.take()).toEqual(['HEADERS 1 POST /up', 'DATA 1 5 end'])
  expect(fixture.peer.request().fields.get('content-length')).toBe('5')
})

test('content without a byte ends the stream all the same', async () => {
  const fixture = Http2ConnectionFixture.settled()

  fixture.dispatch(post({ content: '' }))
  await turn()

  expect(fixture.peer.request()).toMatchObject({ content: '', ended: true })
  expect(fixture.peer.request().fields.get('content-length')).toBe('0')
})

test('content goes in frames no longer than the peer takes, as far as its windows are open', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const { peer } = fixture

  fixture.dispatch(post({ content: Buffer.alloc(100_000, 'x') }))
  await turns()
  const first = peer.request().content.length
  const sizes = peer.take()
  peer.widen(10_000)
  await turns()
  const withConnection = peer.request().content.length
  peer.widen(10_000, 1)
  await turns()
  const withBoth = peer.request().content.length
  peer.widen(100_000)
  peer.widen(100_000, 1)
  await turns()

  expect([first, withConnection, withBoth]).toEqual([WINDOW, WINDOW, WINDOW + 10_000])
  expect(sizes).toEqual([])
  expect(peer.request()).toMatchObject({ ended: true, content: 'x'.repeat(100_000) })
})

test('a frame is never longer than the peer has said', async () => {
  const fixture = Http2ConnectionFixture.settled({ windowBytes: 1_000_000, maxFrameBytes: 20_000 })
  fixture.peer.widen(1_000_000)

  fixture.dispatch(post({ content: Buffer.alloc(300_000) }))
  await turns()

  const lengths = fixture.peer.takeRequests().flatMap((line) => {
    const match = /^DATA 1 (\d+)/.exec(line)
    return match === null ? [] : [Number(match[1])]
  })
  expect(Math.max(...lengths)).toBeLessThanOrEqual(20_000)
  expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(300_000)
})

test('a first window of 0 holds all content back until it is opened', async () => {
  const fixture = Http2ConnectionFixture.settled({ windowBytes: 0 })
  fixture.dispatch(post({ content: 'hello' }))
  await turn()
  const before = fixture.peer.take()

  fixture.peer.settings({ windowBytes: 3 })
  const middle = fixture.peer.takeRequests()
  fixture.peer.widen(2, 1)

  expect(before).toEqual(['HEADERS 1 POST /up'])
  expect(middle).toEqual(['DATA 1 3'])
  expect(fixture.peer.take()).toEqual(['DATA 1 2 end'])
})

test('content of many streams takes turns', async () => {
  const fixture = Http2ConnectionFixture.settled({ windowBytes: 1_000_000 })
  for (let index = 0; index < 3; index++) {
    fixture.dispatch(post({ content: Buffer.alloc(60_000) }))
  }
  await turn()

  const order = fixture.peer.takeRequests().flatMap((line) => /^DATA (\d)/.exec(line)?.[1] ?? [])
  expect(order.slice(0, 3).toSorted()).toEqual(['1', '3', '5'])
})

test('a source is asked for more only when the peer has taken what it gave', async () => {
  const fixture = Http2ConnectionFixture.settled({ windowBytes: 10_000 })
  const source = new Source(Array.from({ length: 100 }, () => 'x'.repeat(10_000)))

  fixture.dispatch(post({ content: source }))
  await turns(40)
  const { asked } = source
  for (let at = 0; at < 99; at++) {
    fixture.peer.widen(10_000)
    fixture.peer.widen(10_000, 1)
    await turns(3)
  }

  // 64 KiB may be on their way besides what the window took.
  expect(asked).toBeLessThanOrEqual(9)
  expect(source).toMatchObject({ asked: 100, returned: 1 })
  expect(fixture.peer.request()).toMatchObject({ ended: true })
  expect(fixture.peer.request().content).toHaveLength(1_000_000)
})

test('a piece may be changed as soon as the next one is asked for', async () => {
  const fixture = Http2ConnectionFixture.settled({ windowBytes: 5 })
  const piece = Buffer.alloc(4)
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (const text of ['aaaa', 'bbbb', 'cccc']) {
      await turn()
      piece.write(text)
      yield piece
    }
    piece.fill('z')
  }

  fixture.dispatch(post({ content: pieces() }))
  await turns()
  fixture.peer.widen(20, 1)
  await turns()

  expect(fixture.peer.request().content).toBe('aaaabbbbcccc')
})

test('trailers follow the content: fields that are announced, and those of a function', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const { peer } = fixture
  fixture.dispatch(post({ content: new Source(['one', 'two']), trailers: { 'X-Sum': '6' } }))
  let calls = 0
  const trailers = (): Record<string, string> => ({ 'x-calls': String(++calls) })
  fixture.dispatch(post({ content: new Source(['three']), trailers }))
  await turns()

  expect(peer.request(1)).toMatchObject({ content: 'onetwo', ended: true })
  expect(peer.request(1).fields.get('trailer')).toBe('X-Sum')
  expect([...peer.request(1).trailers]).toEqual([['x-sum', '6']])
  expect(peer.request(3)).toMatchObject({ content: 'three', ended: true })
  expect([...peer.request(3).trailers]).toEqual([['x-calls', '1']])
})

test.each([
  ['throws', new Source(['one', new Error('no more')]), undefined, 'no more'],
  ['gives too little', new Source(['one']), 10, '10 bytes announced, 3 given'],
  ['gives too much', new Source(['one', 'two']), 5, '5 bytes announced, 6 given'],
])(
  'a source that %s ends its exchange with CANCEL, and no other',
  async (_, source, length, why) => {
    const fixture = Http2ConnectionFixture.settled()
    const content = { replayable: false, length, open: () => source }
    const handler = fixture.dispatch(post({ content }))
    const other = fixture.dispatch()

    await turns()
    fixture.peer.respond(3)

    expect(handler.events).toEqual(['error before the response began'])
    expect(String(handler.error)).toContain(why)
    expect(fixture.peer.take().at(-1)).toBe('RST_STREAM 1 CANCEL')
    expect(fixture.peer.request(1).ended).toBe(false)
    expect(other.events.at(-1)).toBe('complete')
    expect(source.returned).toBe(1)
  },
)

test('trailers that cannot stand there end the exchange', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const trailers = (): Record<string, string> => ({ 'Content-Length': '3' })

  const handler = fixture.dispatch(post({ content: new Source(['one']), trailers }))
  await turns()

  expect(handler.error).toBeInstanceOf(LocalProtocolError)
  expect(fixture.peer.request().reset).toBe(true)
})

// ── Expect: 100-continue

const EXPECTING = post({ content: 'held', headers: { Expect: '100-continue' } })

test('content that waits for 100 (Continue) goes when that comes', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const handler = fixture.dispatch(EXPECTING)
  await turn()
  const before = fixture.peer.take()

  fixture.peer.head(1, 100)
  await turn()

  expect(before).toEqual(['HEADERS 1 POST /up'])
  expect(fixture.peer.request()).toMatchObject({ content: 'held', ended: true })
  expect(handler.events).toEqual(['information 100'])
  expect(fixture.clock.pending).toBe(0)
})

test('another informational response does not let held content go', async () => {
  const fixture = Http2ConnectionFixture.settled()
  fixture.dispatch(EXPECTING)
  await turn()

  fixture.peer.head(1, 103)
  await turn()

  expect(fixture.peer.request().content).toBe('')
})

test('content that waits for 100 (Continue) goes when the wait is over', async () => {
  const fixture = Http2ConnectionFixture.settled()
  fixture.dispatch(EXPECTING)
  await turn()

  fixture.clock.advance(299)
  await turn()
  const early = fixture.peer.request().content
  fixture.clock.advance(1)
  await turn()

  expect(early).toBe('')
  expect(fixture.peer.request()).toMatchObject({ content: 'held', ended: true })
})

test.each([200, 417, 401])('held content is not sent after a final status %i', async (status) => {
  const fixture = Http2ConnectionFixture.settled()
  const handler = fixture.dispatch(EXPECTING)
  await turn()

  fixture.peer.respond(1, 'final', status)
  fixture.clock.advance(1000)
  await turn()

  expect(handler.events.at(-1)).toBe('complete')
  expect(fixture.peer.request()).toMatchObject({ content: '', ended: false, reset: true })
  expect(fixture.connection.state).toBe('idle')
  expect(fixture.clock.pending).toBe(0)
})

test('an exchange that is given up while its content is held leaves no timer', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const handler = fixture.dispatch(EXPECTING)
  await turn()

  handler.exchange?.abort(new Error('enough'))

  expect(fixture.clock.pending).toBe(0)
  expect(fixture.connection.state).toBe('idle')
})

// ── Early responses

const LARGE = Buffer.alloc(200_000, 'x')
const uploads: readonly [string, () => ConstructorParameters<typeof HttpRequest>[2]][] = [
  ['small content', () => ({ content: 'hello' })],
  ['large content', () => ({ content: LARGE })],
  ['pieces', () => ({ content: new Source(Array.from({ length: 9 }, () => 'x'.repeat(9000))) })],
  ['pieces that were all given', () => ({ content: new Source(['hello']) })],
]

test.each(uploads)('a status of 300 or more stops the sending of %s', async (_, init) => {
  const fixture = Http2ConnectionFixture.settled({ windowBytes: 2, maxStreams: 1 })
  const handler = fixture.dispatch(post(init()))
  await turns()

  fixture.peer.head(1, 413)
  fixture.peer.widen(100_000, 1)
  await turns()
  const sent = fixture.peer.request().content.length
  fixture.peer.data(1, 'too much', true)
  await turns()

  expect(handler.events).toEqual(['head 413 unknown', 'content too much', 'complete'])
  expect(sent).toBe(2)
  expect(fixture.peer.request()).toMatchObject({ ended: false, reset: true })
  expect(fixture.connection).toMatchObject({ state: 'idle', capacity: 1 })
})

test.each(uploads)(
  'a 2xx lets %s go on, also when the response is whole before',
  async (_, init) => {
    const fixture = Http2ConnectionFixture.settled({ windowBytes: 2 })
    const handler = fixture.dispatch(post(init()))
    await turns()

    fixture.peer.respond()
    const during = fixture.connection.state
    for (let at = 0; at < 6; at++) {
      fixture.peer.widen(50_000, 1)
      fixture.peer.widen(50_000)
      await turns()
    }

    expect(handler.events).toEqual(['head 200 5', 'content hello', 'complete'])
    expect(during).toBe('active')
    expect(fixture.peer.request()).toMatchObject({ ended: true, reset: false })
    expect(fixture.connection.state).toBe('idle')
  },
)

test.each(['NO_ERROR', 'CANCEL'] as const)(
  'RST_STREAM %s behind a whole response stops the sending and fails nothing',
  async (code) => {
    const fixture = Http2ConnectionFixture.settled({ windowBytes: 2 })
    const source = new Source(['x'.repeat(9000), 'y'], { endless: true })
    const handler = fixture.dispatch(post({ content: source }))
    await turns()
    fixture.peer.respond()
    fixture.peer.take()

    fixture.peer.reset(1, code)
    await turns()

    expect(handler.events).toEqual(['head 200 5', 'content hello', 'complete'])
    expect(fixture.connection.state).toBe('idle')
    expect(fixture.connection.metrics.errorsCount).toBe(0)
    expect(fixture.peer.takeRequests()).toEqual([])
  },
)

test.each([
  [
    'the connection breaks',
    (fixture: Http2ConnectionFixture) => fixture.stream.fail(new Error('x')),
  ],
  ['it is closed', (fixture: Http2ConnectionFixture) => fixture.connection.close()],
  [
    'the peer resets the stream',
    (fixture: Http2ConnectionFixture) => fixture.peer.reset(1, 'NO_ERROR'),
  ],
  ['the peer takes no more', (fixture: Http2ConnectionFixture) => fixture.pass(501)],
])('a source is let go when the response is whole and %s', async (_, happen) => {
  const fixture = Http2ConnectionFixture.settled({ windowBytes: 2 })
  const pieces = Array.from({ length: 100 }, () => 'x'.repeat(9000))
  const source = new Source(pieces)
  const handler = fixture.dispatch(post({ content: source }))
  await turns(30)
  fixture.peer.respond()
  const { asked } = source

  happen(fixture)
  await turns(120)

  expect(handler.events).toEqual(['head 200 5', 'content hello', 'complete'])
  expect(source.returned).toBe(1)
  expect(source.asked).toBeLessThanOrEqual(asked + 1)
})

test('an upload whose response is whole fails nobody when its source fails', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const source = new Source(['one', 'two', new Error('no more')])
  const handler: RecordingHandler = fixture.dispatch(post({ content: source }))
  await turns(2)

  fixture.peer.respond()
  await turns()

  expect(handler.events).toEqual(['head 200 5', 'content hello', 'complete'])
  expect(fixture.peer.request()).toMatchObject({ reset: true, ended: false })
  expect(fixture.connection.state).toBe('idle')
})

// ── The socket

test('what waits for the socket stays bounded while large uploads go', async () => {
  const fixture = Http2ConnectionFixture.settled({ windowBytes: 0x7fff_ffff })
  fixture.peer.widen(0x7fff_0000)
  fixture.stream.stalled = true
  const before = fixture.stream.written.length
  for (let index = 0; index < 4; index++) {
    fixture.dispatch(post({ content: Buffer.alloc(2_000_000, 'x') }))
  }
  for (let index = 0; index < 20; index++) fixture.dispatch(post({ content: Buffer.alloc(60_000) }))
  await turns()
  const waiting = fixture.stream.written.length - before

  fixture.stream.flush()
  await turns(40)

  expect(waiting).toBeLessThanOrEqual(270_336 + 24 * 30)
  expect(waiting).toBeGreaterThan(131_072)
  fixture.peer.take()
  const got = fixture.peer.requests.map(({ content, ended }) => [content.length, ended])
  expect(got.filter(([length]) => length === 2_000_000)).toHaveLength(4)
  expect(got.every(([, ended]) => ended)).toBe(true)
})

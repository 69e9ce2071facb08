import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  continuation,
  data,
  frame,
  goAway,
  headers,
  ping,
  priority,
  rstStream,
  settings,
  settingsAck,
  windowUpdate,
} from '../../testing/http2-frames.ts'
import { contentByte, StrictServer, type StrictStream } from '../../testing/http2-strict-server.ts'
import { HeaderFields } from '../semantics/header-fields.ts'
import { ClientSession } from './client-session.ts'
import { ConnectionFault } from './error-code.ts'
import type { Http2Stream, StreamFailure, StreamHandler } from './http2-stream.ts'

// ── What can happen. Numbers choose among what is there at that time.

const number = fc.nat(1000)
const ours = fc.oneof(
  fc.record({ type: fc.constant('open' as const), n: number }),
  fc.record({ type: fc.constant('send' as const), n: number, bytes: fc.nat(40_000) }),
  fc.record({ type: fc.constant('sendEnd' as const), n: number }),
  fc.record({ type: fc.constant('stopSending' as const), n: number }),
  fc.record({ type: fc.constant('reset' as const), n: number }),
  fc.record({ type: fc.constant('consume' as const), n: number }),
  // What the next event of a stream makes its owner do, from within it.
  fc.record({
    type: fc.constant('react' as const),
    n: number,
    to: number,
    by: fc.constantFrom('open', 'reset', 'stopSending', 'send', 'sendEnd', 'consume'),
  }),
  fc.record({
    type: fc.constant('flush' as const),
    bytes: fc.constantFrom(0, 100, 5000, 20_000, 135_168, 1_000_000),
  }),
)
const settingValues = fc.array(
  fc.oneof(
    fc.tuple(fc.constant(1), fc.constantFrom(0, 50, 4096, 100_000)),
    fc.tuple(fc.constant(3), fc.constantFrom(1, 3, 100)),
    fc.tuple(fc.constant(4), fc.constantFrom(0, 1, 100, 16_384, 65_535, 500_000)),
    fc.tuple(fc.constant(5), fc.constantFrom(16_384, 20_000, 70_000)),
    fc.tuple(fc.constant(8), fc.constant(1)),
    fc.tuple(fc.constant(99), number),
  ),
  { maxLength: 3 },
)
const theirs = fc.oneof(
  fc.record({ type: fc.constant('head' as const), n: number, end: fc.boolean() }),
  fc.record({ type: fc.constant('interim' as const), n: number }),
  fc.record({
    type: fc.constant('data' as const),
    n: number,
    bytes: fc.nat(16_000),
    padding: fc.option(fc.nat(255), { nil: undefined }),
    end: fc.boolean(),
  }),
  fc.record({ type: fc.constant('trailers' as const), n: number }),
  fc.record({
    type: fc.constant('rst' as const),
    n: number,
    code: fc.constantFrom(0, 2, 7, 8, 0xdead),
  }),
  fc.record({ type: fc.constant('settings' as const), values: settingValues }),
  fc.record({
    type: fc.constant('widen' as const),
    n: number,
    bytes: fc.integer({ min: 1, max: 40_000 }),
  }),
  fc.record({ type: fc.constant('ping' as const) }),
)
const leaving = fc.record({ type: fc.constant('goaway' as const), n: number })
const wild = fc.record({
  type: fc.constant('wild' as const),
  frame: fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...nearlyValidFrames()) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.nat(10), fc.nat(255), fc.nat(9), fc.uint8Array({ maxLength: 20 }))
        .map(([type, flags, streamId, payload]) => frame(type, { flags, streamId, payload })),
    },
  ),
})

type Action = typeof ours extends fc.Arbitrary<infer A> ? A : never
type PeerAction =
  | (typeof theirs extends fc.Arbitrary<infer A> ? A : never)
  | (typeof leaving extends fc.Arbitrary<infer A> ? A : never)
  | (typeof wild extends fc.Arbitrary<infer A> ? A : never)

/** Wrong somewhere, but well made: what gets past the parser. */
function nearlyValidFrames(): Buffer[] {
  const frames = [
    settingsAck(),
    ping('12345678', { ack: true }),
    frame(0xee),
    goAway(1, 'NO_ERROR'),
  ]
  frames.push(
    settings([2, 1]),
    windowUpdate(0, 0),
    windowUpdate(0, 2 ** 31 - 1),
    goAway(0, 'CANCEL'),
  )
  for (const id of [1, 3, 5]) {
    frames.push(
      headers(id, [[':status', '200']]),
      headers(id, [[':status', '200']], { endStream: true }),
      headers(id, [
        [':status', '204'],
        ['content-length', '3'],
      ]),
      headers(id, [
        [':status', '200'],
        ['content-length', '3'],
      ]),
      headers(id, [['Bad', 'x']], { endStream: true }),
      Buffer.concat([headers(id, Buffer.alloc(0), { endHeaders: false }), continuation(id, '')]),
      data(id, 'abcd'),
      data(id, 'abc', { endStream: true }),
      data(id, '', { endStream: true, padding: 200 }),
      rstStream(id, 'REFUSED_STREAM'),
      windowUpdate(id, 0),
      windowUpdate(id, 2 ** 31 - 1),
      priority(id),
    )
  }
  return frames
}

// ── What is true at all times

/** A stream and what was told of it. */
class Owner implements StreamHandler {
  readonly method = 'POST'
  stream: Http2Stream | undefined
  react: (() => void) | undefined
  end: 'end' | 'failure' | undefined
  resetByUs = false
  overs = 0
  refusals = 0
  heads = 0
  unconsumed = 0
  sent = 0
  given = 0
  taken = 0

  onInformation(): void {
    expect([this.heads, this.end, this.resetByUs]).toEqual([0, undefined, false])
    this.reactNow()
  }

  onHead(): void {
    expect([this.heads, this.end, this.resetByUs]).toEqual([0, undefined, false])
    this.heads++
    this.reactNow()
  }

  onContent(_: Buffer, start: number, end: number): void {
    expect([this.heads, this.end, this.resetByUs]).toEqual([1, undefined, false])
    expect(end).toBeGreaterThan(start)
    this.unconsumed += end - start
    this.reactNow()
  }

  onEnd(): void {
    expect([this.heads, this.end, this.resetByUs]).toEqual([1, undefined, false])
    this.end = 'end'
    this.reactNow()
  }

  onFailure({ type }: StreamFailure): void {
    expect([this.end, this.resetByUs, this.overs]).toEqual([undefined, false, 1])
    if (type === 'unprocessed') expect(this.heads).toBe(0)
    this.end = 'failure'
    this.reactNow()
  }

  onSendingRefused(): void {
    expect([this.end, this.resetByUs, this.overs, this.refusals]).toEqual(['end', false, 1, 0])
    this.refusals++
    this.reactNow()
  }

  reactNow(): void {
    const { react } = this
    this.react = undefined
    react?.()
  }
}

/** One connection: our session, its owners, and the server at the other end. */
class Model {
  readonly server = new StrictServer()
  readonly owners: Owner[] = []
  readonly session: ClientSession
  faults = 0
  now = 0
  #goAwayId = 2 ** 31 - 1

  constructor() {
    this.session = new ClientSession({
      onSettings: () => {},
      onRefused: () => this.owners.at(-1)?.reactNow(),
      onGoAway: () => this.owners.at(0)?.reactNow(),
      onStreamOver: (stream) => {
        const owner = this.owners.find((one) => one.stream === stream) as Owner
        owner.overs++
        expect([owner.overs, stream.state]).toEqual([1, 'closed'])
        // As a pool would that gives the room to somebody else.
        this.owners.find((one) => one !== owner && one.react !== undefined)?.reactNow()
      },
    })
  }

  act(action: Action): void {
    if (action.type === 'open') this.#open(action.n)
    else if (action.type === 'flush') this.#flush(action.bytes)
    else {
      const owner = this.owners[action.n % this.owners.length]
      if (owner === undefined) return
      if (action.type === 'react') {
        const target = this.owners[action.to % this.owners.length] as Owner
        owner.react = () => this.#do(target, action.by, 500)
      } else this.#do(owner, action.type, 'bytes' in action ? action.bytes : 0)
    }
  }

  /** @returns the bytes that the server sends; it knows only what was flushed */
  reply(action: PeerAction): Buffer | undefined {
    const { server } = this
    if (action.type === 'wild') return action.frame
    if (action.type === 'ping') return ping()
    if (action.type === 'settings') return settings(...action.values)
    const open = [...server.streams.values()].filter(
      ({ id, clientReset, part }) => id <= this.#goAwayId && !clientReset && part !== 'reset',
    )
    if (action.type === 'goaway') return this.#sendGoAway(open)
    if (action.type === 'widen' && action.n % 3 === 0) return windowUpdate(0, action.bytes)
    const stream = open[action.n % open.length]
    return stream === undefined ? undefined : this.#replyOn(stream, action)
  }

  /** At any time between two calls. */
  expectInvariants(): void {
    const { session, owners } = this
    expect(session.openStreams).toBe(owners.filter(({ overs }) => overs === 0).length)
    for (const { stream, end, overs, resetByUs } of owners) {
      expect(stream?.state === 'closed').toBe(overs === 1)
      if (overs === 1) expect(end !== undefined || resetByUs).toBe(true)
      expect(stream?.windowTarget).toBeLessThanOrEqual(8_388_608)
      expect(stream?.receiveWindow).toBeLessThanOrEqual(stream?.windowTarget as number)
    }
  }

  /** After the end of the connection nothing is owed to anybody. */
  finish(): void {
    this.session.end('NO_ERROR')
    this.#flush(1_000_000)

    expect(this.server.goAwayReceived).toBe(true)
    for (const { given, taken } of this.owners) expect(taken).toBe(given)
  }

  #open(n: number): void {
    if (this.session.capacity === 0) return
    const owner = new Owner()
    const long = n % 7 === 0 ? { long: 'x'.repeat(30_000) } : { n: String(n % 50) }
    this.owners.push(owner)
    owner.stream = this.session.open(
      {
        method: 'POST',
        scheme: 'https',
        authority: 'example.com',
        path: `/${n % 20}`,
        protocol: undefined,
        headers: HeaderFields.from(long),
        contentLength: undefined,
      },
      owner,
      n % 4 === 0,
    )
  }

  #do(owner: Owner, what: string, bytes: number): void {
    const stream = owner.stream as Http2Stream
    const { session } = this
    if (what === 'open') this.#open(bytes)
    else if (what === 'send') {
      // What follows the end is not to be sent, which is for its owner to see to.
      if (stream.trailers !== undefined) return
      if (!stream.maySend || stream.sendingStopped) bytes = 1
      const content = Buffer.from(
        Array.from({ length: bytes }, (_, index) => contentByte(stream.id, owner.sent + index)),
      )
      owner.sent += bytes
      owner.given += bytes
      let left = bytes
      session.send(stream, content, (taken) => {
        left -= taken
        owner.taken += taken
        if (left === 0) content.fill(0)
      })
    } else if (what === 'sendEnd') {
      const trailers = owner.sent % 2 === 0 ? HeaderFields.empty : HeaderFields.from({ a: 'b' })
      session.sendEnd(stream, trailers)
    } else if (what === 'consume') {
      session.consume(stream, owner.unconsumed)
      owner.unconsumed = 0
    } else {
      // Whoever stops sending behind the end of the response ends the stream.
      const wasOver = stream.state === 'closed'
      if (what === 'reset') session.reset(stream, 'CANCEL')
      else session.stopSending(stream)
      if (!wasOver && owner.stream?.state === 'closed') owner.resetByUs = true
    }
  }

  #flush(maxBytes: number): void {
    this.session.fill(maxBytes)
    for (let output = this.session.take(); output !== undefined; output = this.session.take()) {
      this.server.read(output.bytes)
      if (output.retired !== undefined) this.session.recycle(output.retired.fill(0xee))
    }
  }

  #sendGoAway(open: readonly StrictStream[]): Buffer {
    const begun = open.filter(({ part }) => part !== 'head').map(({ id }) => id)
    this.#goAwayId = Math.min(this.#goAwayId, Math.max(0, ...begun))
    return goAway(this.#goAwayId, 'NO_ERROR')
  }

  #replyOn(stream: StrictStream, action: PeerAction): Buffer | undefined {
    const { id, part } = stream
    switch (action.type) {
      case 'head':
        if (part !== 'head') return undefined
        stream.part = action.end ? 'ended' : 'content'
        return headers(
          id,
          [
            [':status', '200'],
            ['n', String(action.n)],
          ],
          { endStream: action.end },
        )
      case 'interim':
        return part === 'head' ? headers(id, [[':status', '103']]) : undefined
      case 'trailers':
        if (part !== 'content') return undefined
        stream.part = 'ended'
        return headers(id, [['a', 'b']], { endStream: true })
      case 'data':
        return this.#replyContent(stream, action)
      case 'rst':
        if (part === 'ended' && stream.clientEnded) return undefined
        stream.part = 'reset'
        return rstStream(id, action.code)
      case 'widen':
        return windowUpdate(id, action.bytes)
      case 'goaway':
      case 'ping':
      case 'settings':
      case 'wild':
        return undefined
    }
  }

  #replyContent(
    stream: StrictStream,
    { bytes, padding, end }: Extract<PeerAction, { type: 'data' }>,
  ): Buffer | undefined {
    if (stream.part !== 'content') return undefined
    const beside = padding === undefined ? 0 : padding + 1
    const room = Math.min(stream.sendWindow, this.server.sendWindow) - beside
    if (room < 0) return undefined
    const length = Math.min(bytes, room)
    stream.sendWindow -= length + beside
    this.server.sendWindow -= length + beside
    if (end) stream.part = 'ended'
    return data(stream.id, Buffer.alloc(length, 'x'), { padding, endStream: end })
  }
}

/** Runs until the end or a fault; a server may flush at any time, and pieces are of any size. */
function run(steps: readonly (Action | PeerAction)[], cut: number): ConnectionFault | undefined {
  const model = new Model()
  let fault: ConnectionFault | undefined
  const receive = (frames: Buffer): void => {
    const bytes = model.server.sends(frames)
    const at = cut % bytes.length
    // Settings cost 20, which a second gives back.
    model.now += 1000
    try {
      model.session.push(Buffer.from(bytes.subarray(0, at)), model.now)
      model.session.push(Buffer.from(bytes.subarray(at)), model.now)
    } catch (error) {
      if (!(error instanceof ConnectionFault)) throw error
      fault = error
    }
  }
  receive(settings())
  for (const step of steps) {
    if (isOurs(step)) model.act(step)
    else {
      const bytes = model.reply(step)
      if (bytes !== undefined) receive(bytes)
    }
    if (fault !== undefined) break
    model.expectInvariants()
  }
  model.finish()
  return fault
}

function isOurs(step: Action | PeerAction): step is Action {
  return OUR_TYPES.has(step.type)
}

const OUR_TYPES: ReadonlySet<string> = new Set<Action['type']>([
  ...(['open', 'send', 'sendEnd', 'stopSending', 'reset', 'consume', 'react', 'flush'] as const),
])

function stepsOf(...rest: fc.Arbitrary<PeerAction>[]): fc.Arbitrary<(Action | PeerAction)[]> {
  const flush = fc.constant<Action>({ type: 'flush', bytes: 1_000_000 })
  const step = fc.oneof(
    { weight: 6, arbitrary: ours },
    { weight: 2, arbitrary: flush },
    { weight: 7, arbitrary: theirs },
    ...rest.map((arbitrary) => ({ weight: 1, arbitrary })),
  )
  const opening = fc.constant<Action[]>([
    { type: 'open', n: 1 },
    { type: 'open', n: 2 },
    { type: 'open', n: 4 },
    { type: 'flush', bytes: 0 },
  ])
  return fc
    .tuple(opening, fc.array(step, { maxLength: 60, size: 'max' }))
    .map(([first, more]) => [...first, ...more])
}

describe('ClientSession', () => {
  test('keeps every rule, and finds no fault, with a server that keeps them too', () => {
    fc.assert(
      fc.property(stepsOf(leaving), number, (steps, cut) => {
        expect(run(steps, cut)).toBeUndefined()
      }),
      { numRuns: 300 },
    )
  })

  test('keeps every rule, and throws nothing but faults, whatever the server does', () => {
    fc.assert(
      fc.property(stepsOf(leaving, wild, wild), number, (steps, cut) => {
        run(steps, cut)
      }),
      { numRuns: 300 },
    )
  })
})

import { describe, expect, test } from 'vitest'
import {
  data,
  type FieldLine,
  frame,
  goAway,
  headers,
  priority,
  rstStream,
  windowUpdate,
} from '../../testing/http2-frames.ts'
import { faultOf, type OpenedStream, SessionFixture } from '../../testing/http2-session-fixture.ts'
import { HeaderFields } from '../semantics/header-fields.ts'
import { nextStreamState, type StreamState, type StreamStep } from './stream-states.ts'

const OK: readonly FieldLine[] = [[':status', '200']]

/** How stream 1 comes to be in a state; stream 3 is open besides, and tells that the rest goes on. */
const STATES = {
  // Our request goes on, and no response has begun.
  open: () => {},
  'open, with a head': ({ fixture }) => fixture.receive(headers(1, OK)),
  // The request is whole.
  'half-closed (local)': ({ fixture, opened }) => {
    fixture.session.sendEnd(opened.stream, HeaderFields.empty)
    fixture.session.fill(0)
  },
  'half-closed (local), with a head': (parts) => {
    STATES['half-closed (local)'](parts)
    parts.fixture.receive(headers(1, OK))
  },
  // The response is whole.
  'half-closed (remote)': ({ fixture }) => fixture.receive(headers(1, OK, { endStream: true })),
  'closed by both ends': (parts) => {
    STATES['half-closed (local)'](parts)
    parts.fixture.receive(headers(1, OK, { endStream: true }))
  },
  'closed by our RST_STREAM': ({ fixture, opened }) =>
    fixture.session.reset(opened.stream, 'CANCEL'),
  'closed by RST_STREAM of the peer': ({ fixture }) => fixture.receive(rstStream(1, 'CANCEL')),
  'left out by GOAWAY': ({ fixture }) => fixture.receive(goAway(0, 'NO_ERROR')),
} satisfies Record<string, (parts: { fixture: SessionFixture; opened: OpenedStream }) => void>

type State = keyof typeof STATES

const FRAMES = {
  HEADERS: headers(1, OK),
  'HEADERS with the end': headers(1, OK, { endStream: true }),
  'trailers with the end': headers(1, [['a', 'b']], { endStream: true }),
  DATA: data(1, 'x'),
  'DATA with the end': data(1, 'x', { endStream: true }),
  RST_STREAM: rstStream(1, 'INTERNAL_ERROR'),
  WINDOW_UPDATE: windowUpdate(1, 1000),
  'WINDOW_UPDATE of 0': windowUpdate(1, 0),
  'WINDOW_UPDATE that is too wide': windowUpdate(1, 2 ** 31 - 1),
  PRIORITY: priority(1),
  PUSH_PROMISE: frame(5, { flags: 4, streamId: 1, payload: '\0\0\0\x02' }),
} satisfies Record<string, Buffer>

type FrameName = keyof typeof FRAMES

const IGNORED: readonly string[] = []
const PUSH = ['connection: PROTOCOL_ERROR']
const NO_HEAD = ['over 1', '1 fault PROTOCOL_ERROR', 'RST_STREAM 1 PROTOCOL_ERROR']
const MALFORMED = NO_HEAD
const RESET = ['over 1', '1 reset INTERNAL_ERROR']
const TOO_WIDE = ['over 1', '1 fault FLOW_CONTROL_ERROR', 'RST_STREAM 1 FLOW_CONTROL_ERROR']
// §5.1: DATA and HEADERS in half-closed (remote) are a stream error; the response was whole by then.
const AFTER_END = ['over 1', '1 sending refused', 'RST_STREAM 1 STREAM_CLOSED']
// §5.1 leaves it to us where the peer cannot have been unaware of the end.
const AFTER_CLOSE = ['connection: STREAM_CLOSED']

const WITHOUT_HEAD: Record<FrameName, readonly string[]> = {
  HEADERS: ['1 head 200 unknown'],
  'HEADERS with the end': ['1 head 200 0', '1 end'],
  'trailers with the end': MALFORMED,
  DATA: NO_HEAD,
  'DATA with the end': NO_HEAD,
  RST_STREAM: RESET,
  WINDOW_UPDATE: IGNORED,
  'WINDOW_UPDATE of 0': ['over 1', '1 fault PROTOCOL_ERROR', 'RST_STREAM 1 PROTOCOL_ERROR'],
  'WINDOW_UPDATE that is too wide': TOO_WIDE,
  PRIORITY: IGNORED,
  PUSH_PROMISE: PUSH,
}
const WITH_HEAD: Record<FrameName, readonly string[]> = {
  ...WITHOUT_HEAD,
  // §8.1: a second final head, even one that ends the stream, is malformed.
  HEADERS: MALFORMED,
  'HEADERS with the end': MALFORMED,
  'trailers with the end': ['1 end a=b'],
  DATA: ['1 content x'],
  'DATA with the end': ['1 content x', '1 end'],
}
/** §5.1, closed: frames may be on their way when RST_STREAM or GOAWAY is sent, or the last END_STREAM. */
const UNDER_WAY: Record<FrameName, readonly string[]> = {
  HEADERS: IGNORED,
  'HEADERS with the end': IGNORED,
  'trailers with the end': IGNORED,
  DATA: IGNORED,
  'DATA with the end': IGNORED,
  RST_STREAM: IGNORED,
  WINDOW_UPDATE: IGNORED,
  'WINDOW_UPDATE of 0': IGNORED,
  'WINDOW_UPDATE that is too wide': IGNORED,
  PRIORITY: IGNORED,
  PUSH_PROMISE: PUSH,
}
const CLOSED: Record<FrameName, readonly string[]> = {
  ...UNDER_WAY,
  HEADERS: AFTER_CLOSE,
  'HEADERS with the end': AFTER_CLOSE,
  'trailers with the end': AFTER_CLOSE,
  DATA: AFTER_CLOSE,
  'DATA with the end': AFTER_CLOSE,
}

const EXPECTED: Record<State, Record<FrameName, readonly string[]>> = {
  open: WITHOUT_HEAD,
  'open, with a head': WITH_HEAD,
  'half-closed (local)': {
    ...WITHOUT_HEAD,
    'HEADERS with the end': ['1 head 200 0', 'over 1', '1 end'],
  },
  'half-closed (local), with a head': {
    ...WITH_HEAD,
    'trailers with the end': ['over 1', '1 end a=b'],
    'DATA with the end': ['1 content x', 'over 1', '1 end'],
  },
  'half-closed (remote)': {
    ...WITH_HEAD,
    HEADERS: AFTER_END,
    'HEADERS with the end': AFTER_END,
    'trailers with the end': AFTER_END,
    DATA: AFTER_END,
    'DATA with the end': AFTER_END,
    RST_STREAM: ['over 1', '1 sending refused'],
    'WINDOW_UPDATE of 0': ['over 1', '1 sending refused', 'RST_STREAM 1 PROTOCOL_ERROR'],
    'WINDOW_UPDATE that is too wide': [
      'over 1',
      '1 sending refused',
      'RST_STREAM 1 FLOW_CONTROL_ERROR',
    ],
  },
  'closed by both ends': CLOSED,
  'closed by our RST_STREAM': UNDER_WAY,
  'closed by RST_STREAM of the peer': CLOSED,
  'left out by GOAWAY': UNDER_WAY,
}

function prepare(state: State): SessionFixture {
  const fixture = SessionFixture.settled()
  const opened = fixture.open({ method: 'POST', endStream: false })
  STATES[state]({ fixture, opened })
  if (state !== 'left out by GOAWAY') fixture.open()
  fixture.told()
  fixture.written()
  return fixture
}

describe.each(Object.keys(STATES) as State[])('ClientSession, a stream %s (§5.1),', (state) => {
  test.each(Object.keys(FRAMES) as FrameName[])('and %s', (name) => {
    const fixture = prepare(state)

    const code = faultOf(() => fixture.receive(FRAMES[name]))

    const told = [...fixture.told(), ...fixture.written()]
    if (code !== undefined) told.push(`connection: ${code}`)
    expect(told).toEqual(EXPECTED[state][name])
    if (code !== undefined || state === 'left out by GOAWAY') return
    fixture.receive(headers(3, OK, { endStream: true }))
    expect(fixture.told()).toEqual(['3 head 200 0', 'over 3', '3 end'])
  })
})

describe.each([
  ['that we have not opened yet', 5],
  ['with the next number but one', 7],
  ['of the highest number', 2 ** 31 - 1],
  ['of the server, of which there are none', 2],
])('ClientSession, a stream %s (§5.1, idle; §5.1.1)', (_, streamId) => {
  test.each([
    ['HEADERS', headers(streamId, OK)],
    ['DATA', data(streamId, 'x')],
    ['empty DATA', data(streamId)],
    ['RST_STREAM', rstStream(streamId, 'CANCEL')],
    ['WINDOW_UPDATE', windowUpdate(streamId, 1)],
  ])('and %s: the connection is of no use', (_name, bytes) => {
    const fixture = prepare('open')

    expect(faultOf(() => fixture.receive(bytes))).toBe('PROTOCOL_ERROR')
  })

  test('and PRIORITY, which may name it', () => {
    const fixture = prepare('open')

    fixture.receive(priority(streamId))

    expect([...fixture.told(), ...fixture.written()]).toEqual([])
  })
})

describe('ClientSession remembers what it has reset', () => {
  test('so that what was under way goes by, to its end and behind it', () => {
    const fixture = prepare('closed by our RST_STREAM')

    fixture.receive(headers(1, OK), data(1, 'x'), data(1, 'x', { endStream: true }), data(1, 'x'))

    expect([...fixture.told(), ...fixture.written()]).toEqual([])
  })

  test('and takes what it has forgotten for the same, having reset a thousand since', () => {
    const fixture = SessionFixture.settled()
    for (let count = 0; count < 1002; count++) {
      fixture.session.reset(fixture.open().stream, 'CANCEL')
    }
    fixture.told()

    fixture.receive(data(1, 'x'), headers(3, OK), data(2003, 'x'))

    expect(fixture.told()).toEqual([])
  })

  test('and refuses content for the first stream that ended by itself', () => {
    const fixture = SessionFixture.settled()
    fixture.session.reset(fixture.open().stream, 'CANCEL')
    fixture.open()
    fixture.receive(headers(3, OK, { endStream: true }))

    expect(faultOf(() => fixture.receive(data(3, 'x')))).toBe('STREAM_CLOSED')
  })
})

describe('nextStreamState()', () => {
  test.each<[StreamState, StreamStep, StreamState]>([
    ['open', 'send-end', 'half-closed-local'],
    ['open', 'receive-end', 'half-closed-remote'],
    ['half-closed-local', 'send-end', 'half-closed-local'],
    ['half-closed-local', 'receive-end', 'closed'],
    ['half-closed-remote', 'send-end', 'closed'],
    ['half-closed-remote', 'receive-end', 'half-closed-remote'],
    ['closed', 'send-end', 'closed'],
    ['closed', 'receive-end', 'closed'],
  ])('leads from %s by %s to %s', (state, step, next) => {
    expect(nextStreamState(state, step)).toBe(next)
  })

  test.each<StreamState>(['open', 'half-closed-local', 'half-closed-remote', 'closed'])(
    'leads from %s by a reset to closed',
    (state) => {
      expect(nextStreamState(state, 'reset')).toBe('closed')
    },
  )
})

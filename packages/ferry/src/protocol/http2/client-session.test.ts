import { describe, expect, test } from 'vitest'
import {
  data,
  type FieldLine,
  frame,
  goAway,
  headers,
  ping,
  priority,
  settings,
  settingsAck,
  windowUpdate,
} from '../../testing/http2-frames.ts'
import { faultOf, SessionFixture } from '../../testing/http2-session-fixture.ts'
import { HeaderFields } from '../semantics/header-fields.ts'
import { ClientSession } from './client-session.ts'

const OK: readonly FieldLine[] = [[':status', '200']]
const HEADER_TABLE_SIZE = 1
const ENABLE_PUSH = 2
const MAX_CONCURRENT_STREAMS = 3
const INITIAL_WINDOW_SIZE = 4
const MAX_FRAME_SIZE = 5
const ENABLE_CONNECT_PROTOCOL = 8

describe('ClientSession begins', () => {
  test('with the preface, to the byte, and its settings behind it (§3.4)', () => {
    const events = { onSettings() {}, onRefused() {}, onGoAway() {}, onStreamOver() {} }
    const session = new ClientSession(events)

    const bytes = session.take()?.bytes as Buffer

    const preface = '505249202a20485454502f322e300d0a0d0a534d0d0a0d0a'
    expect(bytes.subarray(0, 24).toString('hex')).toBe(preface)
    // Length 18, SETTINGS, no flags, stream 0; then push off, a window, a bound for heads.
    const sent = '000012 04 00 00000000' + ' 0002 00000000 0004 00040000 0006 00010000'
    expect(bytes.subarray(24, 51).toString('hex')).toBe(sent.replaceAll(' ', ''))
  })

  test('before it has heard anything, with requests too, under the first values (§6.5.2)', () => {
    const fixture = new SessionFixture()

    fixture.open({ endStream: false })

    expect(fixture.session.settingsReceived).toBe(false)
    expect(fixture.session.capacity).toBe(99)
    expect(fixture.written()).toEqual([
      'SETTINGS 2=0 4=262144 6=65536',
      `WINDOW_UPDATE 0 ${67_108_864 - 65_535}`,
      'HEADERS 1',
    ])
  })

  test.each([
    ['PING', ping()],
    ['the acknowledgement of settings', settingsAck()],
    ['WINDOW_UPDATE', windowUpdate(0, 1)],
    ['GOAWAY', goAway(0, 'NO_ERROR')],
    ['PRIORITY', priority(1)],
    ['an unknown type', frame(0xee)],
    ['HEADERS', headers(1, OK)],
    ['DATA', data(1, 'x')],
    ['RST_STREAM', frame(3, { streamId: 1, payload: '\0\0\0\0' })],
  ])('and refuses %s in place of settings (§3.4)', (_, first) => {
    const fixture = new SessionFixture()
    fixture.open()

    expect(faultOf(() => fixture.receive(first))).toBe('PROTOCOL_ERROR')
  })

  test('and acknowledges the settings of the peer, each time (§6.5.3)', () => {
    const fixture = new SessionFixture()
    fixture.written()

    fixture.receive(settings(), settingsAck(), settings([0xbeef, 1], [MAX_FRAME_SIZE, 20_000]))

    expect(fixture.session.settingsReceived).toBe(true)
    expect(fixture.told()).toEqual(['settings', 'settings'])
    expect(fixture.written()).toEqual(['SETTINGS ack', 'SETTINGS ack'])
  })

  test('and answers PING with the same eight bytes, and an answer not at all (§6.7)', () => {
    const fixture = SessionFixture.settled()

    fixture.receive(ping('\0\x01abcd\xfe\xff'), ping('anything', { ack: true }))

    expect(fixture.written()).toEqual(['PING ack \0\x01abcd\xfe\xff'])
  })

  test('and asks for a sign of life by PING', () => {
    const fixture = SessionFixture.settled()

    fixture.session.ping()

    expect(fixture.written()).toEqual([`PING ${'\0'.repeat(8)}`])
  })
})

describe('ClientSession takes the settings of its peer', () => {
  test('MAX_CONCURRENT_STREAMS, also below what is open (§5.1.2)', () => {
    const fixture = SessionFixture.settled([MAX_CONCURRENT_STREAMS, 2])
    const capacities = [fixture.session.capacity]
    fixture.open()
    capacities.push(fixture.session.capacity)
    fixture.open()
    capacities.push(fixture.session.capacity)

    fixture.receive(settings([MAX_CONCURRENT_STREAMS, 1]))
    capacities.push(fixture.session.capacity)
    fixture.receive(headers(1, OK, { endStream: true }), headers(3, OK, { endStream: true }))

    expect([...capacities, fixture.session.capacity]).toEqual([2, 1, 0, 0, 1])
  })

  test('and takes none that says nothing of streams for a bound', () => {
    const fixture = SessionFixture.settled([MAX_FRAME_SIZE, 16_384])

    expect(fixture.session.capacity).toBe(Number.POSITIVE_INFINITY)
  })

  test('MAX_CONCURRENT_STREAMS of 0, which is no mistake (§6.5.2)', () => {
    expect(SessionFixture.settled([MAX_CONCURRENT_STREAMS, 0]).session.capacity).toBe(0)
  })

  test('HEADER_TABLE_SIZE of 0, with the next block, and names no entry from then on', () => {
    const fixture = SessionFixture.settled()
    const fields = HeaderFields.from({ 'x-custom': 'value' })
    fixture.open({ headers: fields })
    fixture.written()

    fixture.receive(settings([HEADER_TABLE_SIZE, 0]))
    fixture.open({ headers: fields })

    const bytes = fixture.bytes()
    const block = bytes.subarray(9 + 9)
    // RFC 7541 §6.3: a size update to 0 comes first.
    expect(block[0]).toBe(0x20)
    fixture.reader.read(bytes)
    expect(fixture.reader.fields.at(-1)).toContainEqual(['x-custom', 'value'])
  })

  test('HEADER_TABLE_SIZE twice in one frame: the smallest is told, then the last', () => {
    const fixture = SessionFixture.settled()
    fixture.open()
    fixture.written()

    fixture.receive(settings([HEADER_TABLE_SIZE, 0], [HEADER_TABLE_SIZE, 4096]))
    fixture.open()

    const block = fixture.bytes().subarray(9 + 9)
    // RFC 7541 §4.2
    expect(block.subarray(0, 4).toString('hex')).toBe('203fe11f')
  })

  test('ENABLE_CONNECT_PROTOCOL (RFC 8441 §3)', () => {
    const fixture = SessionFixture.settled()
    const before = fixture.session.peer.connectProtocol

    fixture.receive(settings([ENABLE_CONNECT_PROTOCOL, 1]), settings([ENABLE_CONNECT_PROTOCOL, 1]))

    expect([before, fixture.session.peer.connectProtocol]).toEqual([false, true])
  })

  test.each([
    ['ENABLE_PUSH of 1 (§6.5.2)', [[ENABLE_PUSH, 1]], 'PROTOCOL_ERROR'],
    ['ENABLE_PUSH of 2', [[ENABLE_PUSH, 2]], 'PROTOCOL_ERROR'],
    ['INITIAL_WINDOW_SIZE of 2^31', [[INITIAL_WINDOW_SIZE, 2 ** 31]], 'FLOW_CONTROL_ERROR'],
    ['MAX_FRAME_SIZE of 16383', [[MAX_FRAME_SIZE, 16_383]], 'PROTOCOL_ERROR'],
    ['MAX_FRAME_SIZE of 2^24', [[MAX_FRAME_SIZE, 2 ** 24]], 'PROTOCOL_ERROR'],
    ['ENABLE_CONNECT_PROTOCOL of 2', [[ENABLE_CONNECT_PROTOCOL, 2]], 'PROTOCOL_ERROR'],
    [
      'ENABLE_CONNECT_PROTOCOL taken back (RFC 8441 §3)',
      [
        [ENABLE_CONNECT_PROTOCOL, 1],
        [ENABLE_CONNECT_PROTOCOL, 0],
      ],
      'PROTOCOL_ERROR',
    ],
  ] as const)('and refuses %s', (_, values, code) => {
    const fixture = SessionFixture.settled()

    expect(faultOf(() => fixture.receive(settings(...values)))).toBe(code)
  })

  test.each([
    [ENABLE_PUSH, 0],
    [INITIAL_WINDOW_SIZE, 0],
    [INITIAL_WINDOW_SIZE, 2 ** 31 - 1],
    [MAX_FRAME_SIZE, 16_384],
    [MAX_FRAME_SIZE, 2 ** 24 - 1],
    [HEADER_TABLE_SIZE, 2 ** 32 - 1],
    [6, 0],
    [9, 1],
  ])('and takes setting %i with %i', (id, value) => {
    const fixture = new SessionFixture()

    expect(faultOf(() => fixture.receive(settings([id, value])))).toBeUndefined()
  })
})

describe('ClientSession runs out of stream numbers (§5.1.1)', () => {
  test('and uses the last of them', () => {
    const fixture = new SessionFixture({ firstStreamId: 2 ** 31 - 3 })
    fixture.receive(settings())
    fixture.written()

    fixture.open()
    const before = [fixture.session.isDraining, fixture.session.capacity]
    fixture.open()

    expect(before).toEqual([false, Number.POSITIVE_INFINITY])
    expect([fixture.session.isDraining, fixture.session.capacity]).toEqual([true, 0])
    expect(fixture.written()).toEqual([`HEADERS ${2 ** 31 - 3} end`, `HEADERS ${2 ** 31 - 1} end`])
  })

  test('and goes on with those that are open', () => {
    const fixture = new SessionFixture({ firstStreamId: 2 ** 31 - 1 })
    fixture.receive(settings())
    fixture.open()

    fixture.receive(headers(2 ** 31 - 1, OK, { endStream: true }))

    expect(fixture.told().at(-1)).toBe(`${2 ** 31 - 1} end`)
  })
})

import { describe, expect, test } from 'vitest'
import {
  continuation,
  data,
  type FieldLine,
  frame,
  goAway,
  headerBlock,
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
import { HpackEncoder } from './hpack-encoder.ts'

const OK: readonly FieldLine[] = [[':status', '200']]
const HEADER_TABLE_SIZE = 1
const ENABLE_PUSH = 2
const MAX_CONCURRENT_STREAMS = 3
const INITIAL_WINDOW_SIZE = 4
const MAX_FRAME_SIZE = 5
const ENABLE_CONNECT_PROTOCOL = 8

function ok(contentLength: number): readonly FieldLine[] {
  return [...OK, ['content-length', String(contentLength)]]
}

describe('ClientSession begins', () => {
  test('with the preface, to the byte, and its settings behind it (§3.4)', () => {
    const events = { onSettings() {}, onRefused() {}, onGoAway() {}, onStreamOver() {} }
    const session = new ClientSession(events)

    const bytes = session.take()?.bytes as Buffer

    const preface = '505249202a20485454502f322e300d0a0d0a534d0d0a0d0a'
    expect(bytes.subarray(0, 24).toString('hex')).toBe(preface)
    // Length 18, SETTINGS, no flags, stream 0; then push off, a window, a bound for heads.
    const sent = '000012 04 00 00000000 0002 00000000 0004 00040000 0006 00010000'.replaceAll(
      ' ',
      '',
    )
    expect(bytes.subarray(24, 51).toString('hex')).toBe(sent)
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

describe('ClientSession reads a response', () => {
  test.each([
    {
      name: 'of a head alone',
      frames: [headers(1, OK, { endStream: true })],
      told: ['1 head 200 0', 'over 1', '1 end'],
    },
    {
      name: 'of a head, and its end in an empty frame',
      frames: [headers(1, OK), data(1, '', { endStream: true })],
      told: ['1 head 200 unknown', 'over 1', '1 end'],
    },
    {
      name: 'with content and its length',
      frames: [headers(1, ok(5)), data(1, 'hel'), data(1, 'lo', { endStream: true })],
      told: ['1 head 200 5', '1 content hel', '1 content lo', 'over 1', '1 end'],
    },
    {
      name: 'with content and the end in an empty frame',
      frames: [headers(1, ok(5)), data(1, 'hello'), data(1, '', { endStream: true })],
      told: ['1 head 200 5', '1 content hello', 'over 1', '1 end'],
    },
    {
      name: 'with empty frames, which are nothing to tell of',
      frames: [headers(1, OK), data(1), data(1, 'a'), data(1), data(1, 'b', { endStream: true })],
      told: ['1 head 200 unknown', '1 content a', '1 content b', 'over 1', '1 end'],
    },
    {
      name: 'with trailers',
      frames: [headers(1, ok(2)), data(1, 'hi'), headers(1, [['a', 'b']], { endStream: true })],
      told: ['1 head 200 2', '1 content hi', 'over 1', '1 end a=b'],
    },
    {
      name: 'with trailers and no content',
      frames: [headers(1, OK), headers(1, [['a', 'b']], { endStream: true })],
      told: ['1 head 200 unknown', 'over 1', '1 end a=b'],
    },
    {
      name: 'with trailers of no field',
      frames: [headers(1, OK), headers(1, [], { endStream: true })],
      told: ['1 head 200 unknown', 'over 1', '1 end'],
    },
    {
      name: 'behind interim ones',
      frames: [
        headers(1, [[':status', '100']]),
        headers(1, [
          [':status', '103'],
          ['link', '</a>'],
        ]),
        headers(1, [[':status', '103']]),
        headers(1, OK, { endStream: true }),
      ],
      told: [
        '1 information 100',
        '1 information 103',
        '1 information 103',
        '1 head 200 0',
        'over 1',
        '1 end',
      ],
    },
    {
      name: 'in padded frames, and a head in parts',
      frames: [
        headers(1, headerBlock(OK).subarray(0, 0), {
          endHeaders: false,
          padding: 10,
          priority: true,
        }),
        continuation(1, headerBlock(OK)),
        data(1, 'hi', { padding: 200, endStream: true }),
      ],
      told: ['1 head 200 unknown', '1 content hi', 'over 1', '1 end'],
    },
  ])('$name', ({ frames, told }) => {
    const fixture = SessionFixture.settled()
    fixture.open()

    fixture.receive(...frames)

    expect(fixture.told()).toEqual(told)
    expect(fixture.session.openStreams).toBe(0)
    expect(fixture.written()).toEqual(['HEADERS 1 end'])
  })

  test.each([
    ['HEAD with a length', 'HEAD', ok(5), '1 head 200 5'],
    ['HEAD without a length', 'HEAD', OK, '1 head 200 0'],
    ['204', 'GET', [[':status', '204']], '1 head 204 0'],
    [
      '304 with the length of what it spares',
      'GET',
      [[':status', '304'], ok(5)[1]],
      '1 head 304 0',
    ],
    ['CONNECT that is refused', 'CONNECT', [[':status', '403'], ok(0)[1]], '1 head 403 0'],
    ['a status of a class of its own', 'GET', [[':status', '999']], '1 head 999 0'],
  ] as const)('to %s', (_, method, fields, line) => {
    const fixture = SessionFixture.settled()
    fixture.open({ method })

    fixture.receive(headers(1, fields as readonly FieldLine[], { endStream: true }))

    expect(fixture.told()).toEqual([line, 'over 1', '1 end'])
  })

  test('to HEAD that ends in an empty frame', () => {
    const fixture = SessionFixture.settled()
    fixture.open({ method: 'HEAD' })

    fixture.receive(headers(1, ok(5)), data(1, '', { endStream: true }))

    expect(fixture.told()).toEqual(['1 head 200 5', 'over 1', '1 end'])
  })

  test('to CONNECT, which has no length, whatever is said (RFC 9110 §9.3.6)', () => {
    const fixture = SessionFixture.settled()
    fixture.open({ method: 'CONNECT', path: undefined, endStream: false })

    fixture.receive(headers(1, ok(2)), data(1, 'hello'), data(1, '!', { endStream: true }))

    expect(fixture.told()).toEqual([
      '1 head 200 unknown',
      '1 content hello',
      '1 content !',
      '1 end',
    ])
  })

  test('of several streams in turn', () => {
    const fixture = SessionFixture.settled()
    for (let count = 0; count < 3; count++) fixture.open()

    fixture.receive(headers(5, OK), headers(1, OK), data(5, 'five'), data(1, 'one'))
    fixture.receive(headers(3, OK, { endStream: true }), data(5, '', { endStream: true }))

    expect(fixture.told()).toEqual([
      '5 head 200 unknown',
      '1 head 200 unknown',
      '5 content five',
      '1 content one',
      '3 head 200 0',
      'over 3',
      '3 end',
      'over 5',
      '5 end',
    ])
    expect(fixture.session.openStreams).toBe(1)
  })

  test('while the request goes on, which then ends the stream', () => {
    const fixture = SessionFixture.settled()
    const { stream } = fixture.open({ method: 'POST', endStream: false })

    fixture.receive(headers(1, OK, { endStream: true }))
    const told = fixture.told()
    fixture.session.sendEnd(stream, HeaderFields.empty)
    fixture.session.fill(0)

    expect(told).toEqual(['1 head 200 0', '1 end'])
    expect(fixture.told()).toEqual(['over 1'])
    expect(fixture.written()).toEqual(['HEADERS 1', 'DATA 1 0 end'])
  })

  test('with a table that the peer fills over all streams (RFC 7541 §2.2)', () => {
    const encoder = new HpackEncoder()
    const encode = (): Buffer => {
      encoder.begin()
      for (const [name, value] of [...OK, ['x-own', 'some value']]) {
        encoder.add(name as string, value as string)
      }
      return Buffer.from(encoder.end())
    }
    const fixture = SessionFixture.settled()
    const { stream } = fixture.open()
    fixture.open()
    fixture.session.reset(stream, 'CANCEL')

    // The entry is made in a block that nobody wants any more.
    fixture.receive(headers(1, encode(), { endStream: true }), headers(3, OK))
    fixture.receive(headers(3, encode().subarray(1), { endStream: true }))

    expect(fixture.told()).toEqual([
      'over 1',
      '3 head 200 unknown',
      'over 3',
      '3 end x-own=some value',
    ])
  })
})

describe('ClientSession tells its handlers', () => {
  test.each(['1 head 200 5', '1 content he', '1 information 103'])(
    'no more once one of them has reset the stream at "%s"',
    (at) => {
      const fixture = SessionFixture.settled()
      const { stream, handler } = fixture.open()
      handler.react = (line) => {
        if (line === at) fixture.session.reset(stream, 'CANCEL')
      }

      fixture.receive(headers(1, [[':status', '103']]), headers(1, ok(5)), data(1, 'he'))
      fixture.receive(data(1, 'llo', { endStream: true, padding: 4 }))

      expect(fixture.told().slice(-2)).toEqual([at, 'over 1'])
      expect(fixture.written()).toEqual(['HEADERS 1 end', 'RST_STREAM 1 CANCEL'])
    },
  )

  test('no more once one of them has reset the stream at a head that ends it', () => {
    const fixture = SessionFixture.settled()
    const { stream, handler } = fixture.open()
    handler.react = () => fixture.session.reset(stream, 'CANCEL')

    fixture.receive(headers(1, OK, { endStream: true }))

    expect(fixture.told()).toEqual(['1 head 200 0', 'over 1'])
  })

  test('and lets what they throw through', () => {
    const fixture = SessionFixture.settled()
    const { handler } = fixture.open()
    handler.react = () => {
      throw new RangeError('a mistake of the handler')
    }

    expect(() => fixture.receive(headers(1, OK))).toThrow(RangeError)
  })

  test('of another handler from when it takes over', () => {
    const fixture = SessionFixture.settled()
    const first = fixture.open({ method: 'CONNECT', path: undefined, endStream: false })
    const other = SessionFixture.settled().open({ method: 'CONNECT' }).handler
    const seen: string[] = []
    other.react = (line) => seen.push(line)

    fixture.receive(headers(1, OK))
    first.stream.handler = other
    fixture.receive(data(1, 'hello', { endStream: true }))

    expect(fixture.told()).toEqual(['1 head 200 unknown'])
    expect(seen).toEqual(['1 content hello', '1 end'])
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

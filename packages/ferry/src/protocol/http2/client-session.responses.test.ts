import { describe, expect, test } from 'vitest'
import {
  continuation,
  data,
  type FieldLine,
  headerBlock,
  headers,
} from '../../testing/http2-frames.ts'
import { SessionFixture } from '../../testing/http2-session-fixture.ts'
import { HeaderFields } from '../semantics/header-fields.ts'
import { HpackEncoder } from './hpack-encoder.ts'

const OK: readonly FieldLine[] = [[':status', '200']]

function ok(contentLength: number): readonly FieldLine[] {
  return [...OK, ['content-length', String(contentLength)]]
}

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

  // RFC 9110 §9.3.2: what is not said of the content that GET would bring is unknown, as in HTTP/1.1.
  test('to HEAD without a length', () => {
    const fixture = SessionFixture.settled()
    fixture.open({ method: 'HEAD' })

    fixture.receive(headers(1, OK, { endStream: true }))

    expect(fixture.told()).toEqual(['1 head 200 unknown', 'over 1', '1 end'])
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

  test('to CONNECT, where nothing but content may follow (§8.5)', () => {
    const fixture = SessionFixture.settled()
    fixture.open({ method: 'CONNECT', path: undefined, endStream: false })

    fixture.receive(headers(1, OK), data(1, 'hello'), headers(1, [['a', 'b']], { endStream: true }))

    expect(fixture.told().at(-1)).toBe('1 fault PROTOCOL_ERROR')
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

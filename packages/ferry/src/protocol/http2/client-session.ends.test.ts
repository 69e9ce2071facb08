import { describe, expect, test } from 'vitest'
import {
  data,
  type FieldLine,
  goAway,
  headers,
  ping,
  rstStream,
} from '../../testing/http2-frames.ts'
import { faultOf, SessionFixture } from '../../testing/http2-session-fixture.ts'
import { HeaderFields } from '../semantics/header-fields.ts'

const OK: readonly FieldLine[] = [[':status', '200']]
const POST = { method: 'POST', endStream: false } as const
const ANY_STREAM = 2 ** 31 - 1

function openStreams(count: number): SessionFixture {
  const fixture = SessionFixture.settled()
  for (let index = 0; index < count; index++) fixture.open()
  fixture.written()
  return fixture
}

describe('ClientSession is told to go away (§6.8)', () => {
  test('and tells the streams that are left out that they can go elsewhere', () => {
    const fixture = openStreams(4)

    fixture.receive(goAway(3, 'ENHANCE_YOUR_CALM', 'because'))

    expect(fixture.told()).toEqual([
      'goaway ENHANCE_YOUR_CALM',
      'over 5',
      '5 unprocessed ENHANCE_YOUR_CALM',
      'over 7',
      '7 unprocessed ENHANCE_YOUR_CALM',
    ])
    expect([fixture.session.isDraining, fixture.session.capacity]).toEqual([true, 0])
    expect(fixture.session.openStreams).toBe(2)
    expect(fixture.written()).toEqual([])
  })

  test('and the others go on to their end, in both directions', () => {
    const fixture = SessionFixture.settled()
    const { stream } = fixture.open(POST)
    fixture.receive(goAway(1, 'NO_ERROR'))
    fixture.told()

    fixture.session.send(stream, Buffer.from('hello'))
    fixture.session.sendEnd(stream, HeaderFields.empty)
    fixture.receive(headers(1, OK), data(1, 'hi', { endStream: true }))

    expect(fixture.flush()).toEqual(['HEADERS 1', 'DATA 1 5 end'])
    expect(fixture.told()).toEqual(['1 head 200 unknown', '1 content hi', '1 end', 'over 1'])
  })

  test('twice: first that an end is near, then where it is', () => {
    const fixture = openStreams(2)

    fixture.receive(goAway(ANY_STREAM, 'NO_ERROR'))
    const afterFirst = fixture.told()
    fixture.receive(ping(), goAway(1, 'NO_ERROR'), goAway(1, 'NO_ERROR'))

    expect(afterFirst).toEqual(['goaway NO_ERROR'])
    expect(fixture.told()).toEqual([
      'goaway NO_ERROR',
      'over 3',
      '3 unprocessed NO_ERROR',
      'goaway NO_ERROR',
    ])
  })

  test('and refuses one that takes on more than the one before', () => {
    const fixture = openStreams(3)
    fixture.receive(goAway(1, 'NO_ERROR'))

    expect(faultOf(() => fixture.receive(goAway(3, 'NO_ERROR')))).toBe('PROTOCOL_ERROR')
  })

  test('of a stream whose response has begun: it cannot have been left out', () => {
    const fixture = openStreams(1)
    fixture.receive(headers(1, OK), data(1, 'some'))
    fixture.told()

    fixture.receive(goAway(0, 'INTERNAL_ERROR'))

    expect(fixture.told()).toEqual(['goaway INTERNAL_ERROR', 'over 1', '1 reset INTERNAL_ERROR'])
  })

  test('of a stream whose response is whole: its handler has had its end', () => {
    const fixture = SessionFixture.settled()
    fixture.open(POST)
    fixture.receive(headers(1, OK, { endStream: true }))
    fixture.told()

    fixture.receive(goAway(0, 'INTERNAL_ERROR'))

    expect(fixture.told()).toEqual(['goaway INTERNAL_ERROR', 'over 1', '1 sending refused'])
  })

  test('and a handler that is told may reset the next, which is told nothing', () => {
    const fixture = SessionFixture.settled()
    const first = fixture.open()
    const second = fixture.open()
    first.handler.react = () => fixture.session.reset(second.stream, 'CANCEL')

    fixture.receive(goAway(0, 'NO_ERROR'))

    expect(fixture.told()).toEqual([
      'goaway NO_ERROR',
      'over 1',
      '1 unprocessed NO_ERROR',
      'over 3',
    ])
  })

  test('and whoever is told may end the whole connection', () => {
    const fixture = openStreams(2)
    fixture.react = (line) => {
      if (line.startsWith('goaway')) fixture.session.end('NO_ERROR')
    }

    fixture.receive(Buffer.concat([goAway(0, 'NO_ERROR'), headers(1, OK)]))

    expect(fixture.told()).toEqual(['goaway NO_ERROR'])
  })
})

describe('ClientSession is refused a stream (§8.7)', () => {
  test('which then can go elsewhere', () => {
    const fixture = openStreams(2)

    fixture.receive(rstStream(1, 'REFUSED_STREAM'))

    expect(fixture.told()).toEqual(['refused', 'over 1', '1 unprocessed REFUSED_STREAM'])
    expect(fixture.session.isDraining).toBe(false)
  })

  test('also behind an interim response', () => {
    const fixture = openStreams(1)

    fixture.receive(headers(1, [[':status', '100']]), rstStream(1, 'REFUSED_STREAM'))

    expect(fixture.told().at(-1)).toBe('1 unprocessed REFUSED_STREAM')
  })

  test('not once its response has begun', () => {
    const fixture = openStreams(1)

    fixture.receive(headers(1, OK), rstStream(1, 'REFUSED_STREAM'))

    expect(fixture.told()).toEqual(['1 head 200 unknown', 'over 1', '1 reset REFUSED_STREAM'])
  })

  test.each([
    [0x2, 'INTERNAL_ERROR'],
    [0x0, 'NO_ERROR'],
    [0xd, 'HTTP_1_1_REQUIRED'],
    [0xe, 'code 14'],
    [0xffff_ffff, 'code 4294967295'],
  ])('and with code %i it is only over (§7)', (code, name) => {
    const fixture = openStreams(1)

    fixture.receive(rstStream(1, code))

    expect(fixture.told()).toEqual(['over 1', `1 reset ${name}`])
  })

  test('and whoever is told may reset it, so that it is over once', () => {
    const fixture = SessionFixture.settled()
    const { stream } = fixture.open()
    fixture.react = (line) => {
      if (line === 'refused') fixture.session.reset(stream, 'CANCEL')
    }

    fixture.receive(rstStream(1, 'REFUSED_STREAM'))

    expect(fixture.told().filter((line) => line === 'over 1')).toHaveLength(1)
  })
})

describe('ClientSession ends the connection', () => {
  test('by GOAWAY, tells no handler, and gives nothing more', () => {
    const fixture = SessionFixture.settled()
    const { stream } = fixture.open(POST)
    fixture.session.send(stream, Buffer.from('hello'))
    fixture.written()

    fixture.session.end('ENHANCE_YOUR_CALM')

    expect(fixture.flush()).toEqual(['GOAWAY 0 ENHANCE_YOUR_CALM'])
    expect(fixture.told()).toEqual([])
    expect([fixture.session.openStreams, fixture.session.capacity]).toEqual([0, 0])
    expect(stream.state).toBe('closed')
  })

  test('and takes no note of what comes behind that, not even of nonsense', () => {
    const fixture = openStreams(3)
    fixture.receive(goAway(5, 'NO_ERROR'))
    fixture.told()

    fixture.session.end('NO_ERROR')
    fixture.receive(headers(1, OK), data(3, 'x'), goAway(7, 'NO_ERROR'), Buffer.from('nonsense…'))

    expect(fixture.told()).toEqual([])
  })

  test.each([
    ['the content of a frame', data(1, 'hello')],
    ['the content of a padded frame', data(1, 'hello', { padding: 9 })],
    ['the padding of a frame', data(1, '', { padding: 9 })],
    ['a head', headers(1, OK)],
  ])('from within %s, and no byte of the same piece counts any more', (_, frame) => {
    const fixture = SessionFixture.settled()
    const { handler } = fixture.open()
    fixture.open()
    fixture.receive(headers(1, [[':status', '103']]))
    fixture.told()
    handler.react = () => fixture.session.end('NO_ERROR')
    const head = frame[3] === 1 ? Buffer.alloc(0) : headers(1, OK)

    fixture.receive(Buffer.concat([head, frame, data(1, 'more'), data(99, 'nonsense')]))

    expect(fixture.told()).toHaveLength(1)
  })

  test.each([
    ['a few bytes', 5],
    ['nothing but the padding', 0],
  ])('from within content, with padding and %s behind it', (_, length) => {
    const fixture = SessionFixture.settled()
    const { handler } = fixture.open()
    fixture.receive(headers(1, OK))
    fixture.told()
    handler.react = () => fixture.session.end('NO_ERROR')
    const bytes = data(1, Buffer.alloc(20), { padding: 30 })

    fixture.receive(bytes.subarray(0, bytes.length - 30 - length), bytes.subarray(-30 - length))
    fixture.receive(data(99, 'nonsense'))

    expect(fixture.told()).toHaveLength(1)
  })
})

import { describe, expect, test } from 'vitest'
import {
  continuation,
  data,
  type FieldLine,
  headerBlock,
  headers,
} from '../../testing/http2-frames.ts'
import { faultOf, SessionFixture } from '../../testing/http2-session-fixture.ts'

const STATUS: FieldLine = [':status', '200']
const OK: readonly FieldLine[] = [STATUS]
const MALFORMED = 'PROTOCOL_ERROR'
const END = { endStream: true } as const
const PADDED_END = { endStream: true, padding: 1 } as const

interface Row {
  readonly name: string
  readonly method?: string
  readonly frames: readonly Buffer[]
}

/** Each ends stream 1 with a fault, and leaves stream 3 and the tables as they were. */
function expectMalformed({ method = 'GET', frames }: Omit<Row, 'name'>, code = MALFORMED): void {
  const fixture = SessionFixture.settled()
  fixture.open({ method })
  fixture.open()
  fixture.written()

  fixture.receive(...frames)

  expect(fixture.told().slice(-2)).toEqual(['over 1', `1 fault ${code}`])
  expect(fixture.written()).toEqual([`RST_STREAM 1 ${code}`])
  // What was under way, and the other stream.
  fixture.receive(data(1, 'x', { endStream: true }), headers(3, OK, { endStream: true }))
  expect(fixture.told()).toEqual(['3 head 200 0', 'over 3', '3 end'])
}

function head(...fields: readonly FieldLine[]): Buffer {
  return headers(1, fields)
}

describe('ClientSession finds a response malformed (§8.1.1)', () => {
  test.each<Row>([
    { name: 'no field at all', frames: [head()] },
    { name: 'no status', frames: [head(['a', 'b'])] },
    { name: 'a status behind a field', frames: [head(['a', 'b'], STATUS)] },
    { name: 'two of the same status', frames: [head(STATUS, STATUS)] },
    { name: 'two different ones', frames: [head(STATUS, [':status', '404'])] },
    { name: 'a pseudo-header field of a request', frames: [head(STATUS, [':path', '/'])] },
    { name: 'one of a request in front', frames: [head([':method', 'GET'], STATUS)] },
    { name: 'one that is unknown', frames: [head(STATUS, [':own', 'x'])] },
    { name: 'one behind other fields', frames: [head(STATUS, ['a', 'b'], [':status', '200'])] },
    { name: 'a colon alone', frames: [head(STATUS, [':', 'x'])] },
    ...['', '20', '2000', '099', '000', 'abc', '2 0', '+20', ' 200', '200 OK', '1e2', '١٠٠'].map(
      (status) => ({
        name: `status ${JSON.stringify(status)}`,
        frames: [head([':status', Buffer.from(status).toString('latin1')])],
      }),
    ),
    { name: 'status 101 (§8.6)', frames: [head([':status', '101'])] },
  ])('$name (§8.3)', (row) => {
    expectMalformed(row)
  })

  test.each<Row>(
    [
      'Upper',
      'uppeR',
      '',
      'with space',
      'tab\t',
      'nul\0',
      'colon:inside',
      'del\x7f',
      'high\xe4',
      'cr\r',
      'lf\n',
      'br(acket',
      'comma,',
    ].map((name) => ({
      name: JSON.stringify(name),
      frames: [head(STATUS, [name, 'value'])],
    })),
  )('the field name $name (§8.2.1)', (row) => {
    expectMalformed(row)
    // In trailers as well.
    expectMalformed({
      frames: row.frames.map(() => head(STATUS)).concat(trailersFrom(JSON.parse(row.name))),
    })
  })

  test.each<Row>(
    [
      'nul\0',
      'cr\rx',
      'lf\nx',
      'a\r\nb: c',
      ' leading',
      'trailing ',
      '\tleading',
      'trailing\t',
    ].map((value) => ({
      name: JSON.stringify(value),
      frames: [head(STATUS, ['name', value])],
    })),
  )('the field value $name (§8.2.1)', (row) => {
    expectMalformed(row)
  })

  test.each<Row>(
    [
      ['connection', 'close'],
      ['connection', 'keep-alive'],
      ['keep-alive', 'timeout=5'],
      ['proxy-connection', 'keep-alive'],
      ['transfer-encoding', 'chunked'],
      ['upgrade', 'h2c'],
    ].map(([name, value]) => ({
      name: name as string,
      frames: [head(STATUS, [name as string, value as string])],
    })),
  )('the field $name, which is of a connection (§8.2.2)', (row) => {
    expectMalformed(row)
  })

  test.each<Row>([
    { name: 'an interim response that ends', frames: [headers(1, [[':status', '100']], END)] },
    {
      name: 'content behind an interim response',
      frames: [head([':status', '103']), data(1, 'x')],
    },
    {
      name: 'the end behind an interim response',
      frames: [head([':status', '103']), data(1, '', END)],
    },
    {
      name: 'trailers behind an interim response',
      frames: [head([':status', '103']), headers(1, [['a', 'b']], END)],
    },
    { name: 'a second head', frames: [head(STATUS), head(STATUS)] },
    {
      name: 'an interim response behind the head',
      frames: [head(STATUS), head([':status', '103'])],
    },
    { name: 'trailers that do not end', frames: [head(STATUS), head(['a', 'b'])] },
    {
      name: 'a status in trailers',
      frames: [head(STATUS), data(1, 'x'), headers(1, [STATUS], END)],
    },
    {
      name: 'another pseudo-header field in trailers',
      frames: [
        head(STATUS),
        headers(
          1,
          [
            ['a', 'b'],
            [':path', '/'],
          ],
          END,
        ),
      ],
    },
    {
      name: 'a field of a connection in trailers',
      frames: [head(STATUS), headers(1, [['connection', 'close']], END)],
    },
    { name: 'a malformed interim response', frames: [head([':status', '103'], ['Upper', 'x'])] },
  ])('$name (§8.1)', (row) => {
    expectMalformed(row)
  })
})

describe('ClientSession holds content against content-length (§8.1.1)', () => {
  test.each<Row>([
    { name: 'no content at all', frames: [headers(1, length('5'), END)] },
    { name: 'an empty frame', frames: [headers(1, length('5')), data(1, '', END)] },
    { name: 'one byte less', frames: [headers(1, length('5')), data(1, 'hell', END)] },
    {
      name: 'one byte less, padded',
      frames: [headers(1, length('5')), data(1, 'hell', PADDED_END)],
    },
    { name: 'one byte more', frames: [headers(1, length('5')), data(1, 'hello!')] },
    {
      name: 'one more in a frame of its own',
      frames: [headers(1, length('1')), data(1, 'x'), data(1, 'x')],
    },
    { name: 'content where there is none', frames: [headers(1, length('0')), data(1, 'x')] },
    {
      name: 'less, and trailers',
      frames: [headers(1, length('5')), data(1, 'x'), headers(1, [], END)],
    },
    {
      name: 'content to HEAD',
      method: 'HEAD',
      frames: [headers(1, length('5')), data(1, 'hello')],
    },
    { name: 'content with 204', frames: [head([':status', '204']), data(1, 'x')] },
    { name: 'content with 304', frames: [head([':status', '304']), data(1, 'x')] },
    {
      name: 'less to CONNECT that is refused',
      method: 'CONNECT',
      frames: [
        headers(1, [
          [':status', '407'],
          ['content-length', '5'],
        ]),
        data(1, 'x', END),
      ],
    },
  ])('$name', (row) => {
    expectMalformed(row)
  })

  test.each([
    '',
    '-1',
    '+1',
    '1.0',
    '0x10',
    '1e3',
    '5, 5',
    '5,6',
    '5 5',
    'five',
    '9'.repeat(16),
    '٥',
  ])('and finds the length %j malformed (RFC 9110 §8.6)', (value) => {
    expectMalformed({ frames: [headers(1, length(Buffer.from(value).toString('latin1')))] })
  })

  test('and two of them', () => {
    expectMalformed({ frames: [headers(1, [...length('5'), ['content-length', '6']])] })
  })

  test('and padding does not count', () => {
    const fixture = SessionFixture.settled()
    fixture.open()

    fixture.receive(headers(1, length('5')), data(1, 'hello', PADDED_END))

    expect(fixture.told().at(-1)).toBe('1 end')
  })

  test('and leading zeros mean nothing', () => {
    const fixture = SessionFixture.settled()
    fixture.open()

    fixture.receive(headers(1, length('005')), data(1, 'hello', END))

    expect(fixture.told()[0]).toBe('1 head 200 5')
  })
})

describe('ClientSession takes what may look odd', () => {
  test.each<FieldLine>([
    ['empty', ''],
    ['inner', 'a b\tc'],
    ['obs-text', '\x80\xff'],
    ["!#$%&'*+-.^_`|~09az", 'x'],
    ['te', 'trailers'],
    ['host', 'example.com'],
    ['http2-settings', 'AAMAAABkAAQAAP__'],
  ])('the field %j with %j', (name, value) => {
    const fixture = SessionFixture.settled()
    fixture.open()

    fixture.receive(headers(1, [STATUS, [name, value]], END))

    expect(fixture.told().at(-1)).toBe('1 end')
  })

  test('a field that was found good once, again from the table, and a bad one each time', () => {
    const fixture = SessionFixture.settled()
    for (let count = 0; count < 4; count++) fixture.open()
    // RFC 7541 §6.2.1: a literal that enters the table, at index 62 from then on; §6.1: its index.
    const good = Buffer.concat([
      headerBlock(OK),
      Buffer.from('40016101 62'.replace(' ', ''), 'hex'),
    ])
    const bad = Buffer.concat([headerBlock(OK), Buffer.from('4001410162', 'hex')])
    const again = Buffer.concat([headerBlock(OK), Buffer.from([0x80 | 62])])

    fixture.receive(headers(1, good, END), headers(3, again, END))
    fixture.receive(headers(5, bad, END), headers(7, again, END))

    expect(fixture.told().filter((line) => /end|fault/.test(line))).toEqual([
      '1 end',
      '3 end',
      '5 fault PROTOCOL_ERROR',
      '7 fault PROTOCOL_ERROR',
    ])
  })
})

describe('ClientSession bounds heads', () => {
  const big = (bytes: number): readonly FieldLine[] => [STATUS, ['x', 'v'.repeat(bytes)]]

  function inFrames(fields: readonly FieldLine[], endStream: boolean): Buffer[] {
    const block = headerBlock(fields)
    const frames = [headers(1, block.subarray(0, 16_384), { endHeaders: false, endStream })]
    for (let at = 16_384; at < block.length; at += 16_384) {
      frames.push(continuation(1, block.subarray(at, at + 16_384), { endHeaders: false }))
    }
    return [...frames, continuation(1, '')]
  }

  test('to 64 KiB of fields, which pass', () => {
    const fixture = SessionFixture.settled()
    fixture.open()

    // RFC 9113 §6.5.2: name, value, and 32 for each field: 42 for the status, 33 for the other.
    fixture.receive(...inFrames(big(65_536 - 42 - 33), true))

    expect(fixture.told()).toEqual(['1 head 200 0', 'over 1', '1 end'])
  })

  test('and ends a stream that has more, and no other', () => {
    expectMalformed({ frames: inFrames(big(65_536 - 42 - 32), false) }, 'ENHANCE_YOUR_CALM')
  })

  test('and ends a stream with interim responses without end', () => {
    const interim = head([':status', '103'])

    expectMalformed({ frames: Array.from({ length: 65 }, () => interim) }, 'ENHANCE_YOUR_CALM')
  })

  test('and takes as many as anybody needs', () => {
    const fixture = SessionFixture.settled()
    fixture.open()

    fixture.receive(...Array.from({ length: 64 }, () => head([':status', '103'])))

    expect(fixture.told().length).toBe(64)
  })
})

describe('ClientSession refuses header blocks that it cannot decode (§4.3)', () => {
  test.each([
    ['an index of nothing', '80'],
    ['an index behind the table', 'be'],
    ['a string that is cut short', '4001'],
    ['a size of the table beyond ours', '3fe11f'.replace('1f', '2f')],
  ])('%s, on a stream that is open or reset or left out', (_, hex) => {
    const block = Buffer.from(hex, 'hex')
    const open = SessionFixture.settled()
    open.open()
    const reset = SessionFixture.settled()
    reset.session.reset(reset.open().stream, 'CANCEL')

    expect(faultOf(() => open.receive(headers(1, block)))).toBe('COMPRESSION_ERROR')
    expect(faultOf(() => reset.receive(headers(1, block)))).toBe('COMPRESSION_ERROR')
  })
})

function length(value: string): readonly FieldLine[] {
  return [STATUS, ['content-length', value]]
}

function trailersFrom(name: string): Buffer {
  return headers(1, [[name, 'value']], END)
}

import { describe, expect, test } from 'vitest'
import { RemoteProtocolError } from '../../errors.ts'
import { ResponseParser } from './response-parser.ts'

type Line = readonly [name: string, value: string]

type Event =
  | { type: 'information'; status: number; text: string; lines: readonly Line[] }
  | { type: 'head'; start: string; lines: readonly Line[]; length: number | undefined }
  | { type: 'content'; text: string }
  | { type: 'complete'; trailers: readonly Line[] }

interface Row {
  readonly name: string
  /** The method of the request; GET when it does not matter. */
  readonly method?: string
  /** The bytes, one character a byte. */
  readonly wire: string
  readonly events: readonly Event[]
  /** What ends the content: the message itself, the close of the peer, or nothing (a tunnel). */
  readonly ends?: 'itself' | 'close' | 'tunnel'
  /** True unless told. */
  readonly keepAlive?: boolean
}

interface Result {
  readonly events: Event[]
  readonly taken: number
  readonly parser: ResponseParser
}

const OK = 'HTTP/1.1 200 OK\r\n'
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`
const CHUNKED_LINE: Line = ['Transfer-Encoding', 'chunked']
// What a greedy parser would be most tempted by: the next response.
const TRAILING = 'HTTP/1.1 500 Next\r\nContent-Length: 0\r\n\r\n'
const OBS_TEXT = String.fromCharCode(...Array.from({ length: 128 }, (_, index) => 128 + index))

function information(status: number, text: string, lines: readonly Line[] = []): Event {
  return { type: 'information', status, text, lines }
}

function head(start: string, length: number | undefined, lines: readonly Line[] = []): Event {
  return { type: 'head', start, lines, length }
}

function content(text: string): Event {
  return { type: 'content', text }
}

function complete(trailers: readonly Line[] = []): Event {
  return { type: 'complete', trailers }
}

/** Feeds pieces until one is not taken whole; each is overwritten afterwards, as a pool would. */
function feed(pieces: Iterable<string>, method = 'GET'): Result {
  const events: Event[] = []
  const parser = new ResponseParser({
    onInformation: ({ status, statusText, headers }) => {
      events.push(information(status, statusText, [...headers]))
    },
    onHead: ({ version, status, statusText, headers }, length) => {
      events.push(head(`${version} ${status} ${statusText}`, length, [...headers]))
    },
    onContent: (bytes, start, end) => {
      expect(end).toBeGreaterThan(start)
      const text = bytes.toString('latin1', start, end)
      const last = events.at(-1)
      if (last?.type === 'content') last.text += text
      else events.push(content(text))
    },
    onComplete: (trailers) => events.push(complete([...trailers])),
  })
  parser.expect(method)
  let taken = 0
  for (const piece of pieces) {
    const bytes = Buffer.from(piece, 'latin1')
    const count = parser.push(bytes)
    expect(bytes.toString('latin1')).toBe(piece)
    bytes.fill('!')
    taken += count
    if (count < piece.length) break
  }
  return { events, taken, parser }
}

function* splitsOf(wire: string): Generator<[string, string]> {
  for (let at = 1; at < wire.length; at++) yield [wire.slice(0, at), wire.slice(at)]
}

function expectResult(
  row: Row,
  result: Result,
  events = row.events,
  taken = row.wire.length,
): void {
  const { ends = 'itself', keepAlive = ends === 'itself' } = row
  expect(result.taken).toBe(taken)
  if (ends === 'close') {
    expect(result.parser.state).toBe('until-close')
    expect(result.parser.finish()).toBe(true)
  }
  expect(result.parser.state).toBe(ends === 'tunnel' ? 'tunnel' : 'complete')
  if (ends !== 'tunnel') expect(result.parser.finish()).toBe(true)
  expect(result.events).toEqual(events)
  expect(result.parser.keepAlive).toBe(keepAlive)
}

/** The events of a close-delimited row when more content comes. */
function withMoreContent(events: readonly Event[], more: string): Event[] {
  const before = events.filter((event) => event.type !== 'complete')
  const last = before.at(-1)
  if (last?.type !== 'content') return [...before, content(more), complete()]
  return [...before.slice(0, -1), content(last.text + more), complete()]
}

function describeRows(title: string, rows: readonly Row[]): void {
  describe.each(rows)(`ResponseParser reads ${title}: $name`, (row) => {
    const { wire, method, events, ends = 'itself' } = row

    test('whole', () => {
      expectResult(row, feed([wire], method))
    })

    test('byte by byte', () => {
      expectResult(row, feed(wire, method))
    })

    test('at every split', () => {
      for (const pieces of splitsOf(wire)) expectResult(row, feed(pieces, method))
    })

    test('with trailing bytes', () => {
      const all = wire + TRAILING
      const wanted = ends === 'close' ? withMoreContent(events, TRAILING) : events
      const taken = ends === 'close' ? all.length : wire.length
      for (const pieces of [[all], [...all], ...splitsOf(all)]) {
        expectResult(row, feed(pieces, method), wanted, taken)
      }
    })

    test('and calls every shorter prefix cut short', () => {
      const headEnd = wire.lastIndexOf('\r\n\r\n') + 4
      const whole = ends === 'close' ? headEnd : wire.length
      for (let length = 0; length < whole; length++) {
        const cut = feed([wire.slice(0, length)], method)
        expect(cut.parser.finish()).toBe(false)
        expect(cut.taken).toBe(length)
        expect(cut.events.filter((event) => event.type === 'complete')).toEqual([])
      }
    })
  })
}

describeRows('content by its length', [
  {
    name: 'Content-Length',
    wire: `${OK}Content-Length: 5\r\n\r\nhello`,
    events: [head('1.1 200 OK', 5, [['Content-Length', '5']]), content('hello'), complete()],
  },
  {
    name: 'Content-Length: 0',
    wire: `${OK}Content-Length: 0\r\n\r\n`,
    events: [head('1.1 200 OK', 0, [['Content-Length', '0']]), complete()],
  },
  {
    name: 'leading zeros and another case',
    wire: `${OK}cONTENT-lENGTH:007\r\n\r\n\r\n\r\n\0\n\r`,
    events: [
      head('1.1 200 OK', 7, [['cONTENT-lENGTH', '007']]),
      content('\r\n\r\n\0\n\r'),
      complete(),
    ],
  },
  {
    name: 'content that looks like a response',
    wire: `${OK}Content-Length: ${TRAILING.length}\r\n\r\n${TRAILING}`,
    events: [
      head('1.1 200 OK', TRAILING.length, [['Content-Length', String(TRAILING.length)]]),
      content(TRAILING),
      complete(),
    ],
  },
])

describeRows('chunked content', [
  {
    name: 'no chunk but the last',
    wire: `${CHUNKED}0\r\n\r\n`,
    events: [head('1.1 200 OK', undefined, [CHUNKED_LINE]), complete()],
  },
  {
    name: 'several chunks, sizes in both cases and with leading zeros',
    wire: `${CHUNKED}3\r\nabc\r\n00A\r\n0123456789\r\nC\r\n0\r\n\r\n1\r\nxyz-\r\n000\r\n\r\n`,
    events: [
      head('1.1 200 OK', undefined, [CHUNKED_LINE]),
      content('abc01234567890\r\n\r\n1\r\nxyz-'),
      complete(),
    ],
  },
  {
    name: 'the coding named in another case',
    wire: `${OK}TRANSFER-ENCODING: ChunkeD\r\n\r\n1\r\n\n\r\n0\r\n\r\n`,
    events: [
      head('1.1 200 OK', undefined, [['TRANSFER-ENCODING', 'ChunkeD']]),
      content('\n'),
      complete(),
    ],
  },
  {
    name: 'extensions, which are dropped',
    wire: `${CHUNKED}1;a\r\nx\r\n1; a = "b;c"\t;\x80\xff\r\ny\r\n1;\r\nz\r\n0;last=1\r\n\r\n`,
    events: [head('1.1 200 OK', undefined, [CHUNKED_LINE]), content('xyz'), complete()],
  },
  {
    name: 'blanks between a size and its extension or its end',
    wire: `${CHUNKED}1 \r\nx\r\n1\t ;a\r\ny\r\n0 \r\n\r\n`,
    events: [head('1.1 200 OK', undefined, [CHUNKED_LINE]), content('xy'), complete()],
  },
  {
    name: 'trailers',
    wire: `${CHUNKED}1\r\nx\r\n0\r\nDigest:  a=b \r\nB:\r\ndigest: c\xa0\r\n\r\n`,
    events: [
      head('1.1 200 OK', undefined, [CHUNKED_LINE]),
      content('x'),
      complete([
        ['Digest', 'a=b'],
        ['B', ''],
        ['digest', 'c\xa0'],
      ]),
    ],
  },
  {
    name: 'framing fields among the trailers, which frame nothing',
    wire: `${CHUNKED}0\r\nContent-Length: x\r\nConnection: close\r\n\r\n`,
    events: [
      head('1.1 200 OK', undefined, [CHUNKED_LINE]),
      complete([
        ['Content-Length', 'x'],
        ['Connection', 'close'],
      ]),
    ],
  },
])

describeRows('content up to the close', [
  {
    name: 'no fields at all',
    wire: `${OK}\r\nhello`,
    ends: 'close',
    events: [head('1.1 200 OK', undefined), content('hello'), complete()],
  },
  {
    name: 'no content',
    wire: `${OK}Connection: keep-alive\r\n\r\n`,
    ends: 'close',
    events: [head('1.1 200 OK', undefined, [['Connection', 'keep-alive']]), complete()],
  },
  {
    name: 'HTTP/1.0 with keep-alive, for nothing else can end it',
    wire: 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nx',
    ends: 'close',
    events: [
      head('1.0 200 OK', undefined, [['Connection', 'keep-alive']]),
      content('x'),
      complete(),
    ],
  },
  {
    name: 'CONNECT refused',
    method: 'CONNECT',
    wire: 'HTTP/1.1 502 Bad\r\n\r\nx',
    ends: 'close',
    events: [head('1.1 502 Bad', undefined), content('x'), complete()],
  },
])

describeRows('responses that have no content', [
  ...[undefined, '5'].flatMap((length): Row[] => {
    const field = length === undefined ? '' : `Content-Length: ${length}\r\n`
    const lines: Line[] = length === undefined ? [] : [['Content-Length', length]]
    const told = length === undefined ? 'without a length' : 'with a length'
    return [
      {
        name: `HEAD ${told}`,
        method: 'HEAD',
        wire: `${OK}${field}\r\n`,
        events: [head('1.1 200 OK', length === undefined ? undefined : 5, lines), complete()],
      },
      {
        name: `204 ${told}`,
        wire: `HTTP/1.1 204 No Content\r\n${field}\r\n`,
        events: [head('1.1 204 No Content', 0, lines), complete()],
      },
      {
        name: `304 ${told}`,
        wire: `HTTP/1.1 304 Not Modified\r\n${field}\r\n`,
        events: [head('1.1 304 Not Modified', 0, lines), complete()],
      },
    ]
  }),
  {
    name: 'HEAD with chunked',
    method: 'HEAD',
    wire: CHUNKED,
    events: [head('1.1 200 OK', undefined, [CHUNKED_LINE]), complete()],
  },
  {
    name: '304 with chunked',
    wire: CHUNKED.replace('200 OK', '304 Same'),
    events: [head('1.1 304 Same', 0, [CHUNKED_LINE]), complete()],
  },
  {
    name: '205, which says so itself',
    wire: 'HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n',
    events: [head('1.1 205 Reset', 0, [['Content-Length', '0']]), complete()],
  },
])

describeRows('responses before the final one', [
  {
    name: '100, then 204',
    wire: 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 \r\n\r\n',
    events: [information(100, 'Continue'), head('1.1 204 ', 0), complete()],
  },
  {
    name: '103 whose fields frame nothing and close nothing',
    wire:
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: x\r\nConnection: close\r\n\r\n' +
      `${OK}Content-Length: 1\r\n\r\nx`,
    events: [
      information(103, 'Early Hints', [
        ['Link', '</a>'],
        ['Content-Length', 'x'],
        ['Connection', 'close'],
      ]),
      head('1.1 200 OK', 1, [['Content-Length', '1']]),
      content('x'),
      complete(),
    ],
  },
  {
    name: '64 of them',
    wire: `${'HTTP/1.1 199 \r\n\r\n'.repeat(64)}HTTP/1.1 204 \r\n\r\n`,
    events: [
      ...Array.from({ length: 64 }, () => information(199, '')),
      head('1.1 204 ', 0),
      complete(),
    ],
  },
])

describeRows('the beginning of a tunnel', [
  {
    name: '101',
    wire: 'HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nContent-Length: x\r\n\r\n',
    ends: 'tunnel',
    events: [
      head('1.1 101 Switching', undefined, [
        ['Connection', 'upgrade'],
        ['Content-Length', 'x'],
      ]),
    ],
  },
  {
    name: '101 after 100',
    wire: 'HTTP/1.1 100 \r\n\r\nHTTP/1.1 101 \r\n\r\n',
    ends: 'tunnel',
    events: [information(100, ''), head('1.1 101 ', undefined)],
  },
  ...['200', '204', '299'].map((status): Row => {
    const wire = `HTTP/1.1 ${status} \r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`
    return {
      name: `CONNECT with ${status}, whatever its framing fields say`,
      method: 'CONNECT',
      wire,
      ends: 'tunnel',
      events: [head(`1.1 ${status} `, undefined, [['Content-Length', '5'], CHUNKED_LINE])],
    }
  }),
])

describeRows('CONNECT refused', [
  {
    name: 'with content by its length',
    method: 'CONNECT',
    wire: 'HTTP/1.1 407 Who\r\nContent-Length: 2\r\n\r\nno',
    events: [head('1.1 407 Who', 2, [['Content-Length', '2']]), content('no'), complete()],
  },
  {
    name: 'with 300, the first status that is no success',
    method: 'CONNECT',
    wire: 'HTTP/1.1 300 \r\nContent-Length: 0\r\n\r\n',
    events: [head('1.1 300 ', 0, [['Content-Length', '0']]), complete()],
  },
])

describeRows('whether the connection stays', [
  ...(
    [
      ['1.1', undefined, true],
      ['1.1', 'close', false],
      ['1.1', 'Close', false],
      ['1.1', 'x , CLOSE\t', false],
      ['1.1', 'keep-alive, close', false],
      ['1.1', 'close\r\nConnection: keep-alive', false],
      ['1.1', 'keep-alive\r\nConnection: close', false],
      ['1.1', 'closed', true],
      ['1.1', '', true],
      ['1.0', undefined, false],
      ['1.0', '', false],
      ['1.0', 'x', false],
      ['1.0', 'keep-alive', true],
      ['1.0', 'Keep-Alive', true],
      ['1.0', 'keep-alive, close', false],
    ] as const
  ).map(([version, value, keepAlive]): Row => {
    const fields = value === undefined ? '' : `Connection: ${value}\r\n`
    const values = value?.split('\r\nConnection: ').map((one) => one.trim()) ?? []
    return {
      name: `HTTP/${version} with Connection ${JSON.stringify(value)}`,
      wire: `HTTP/${version} 204 \r\n${fields}\r\n`,
      keepAlive,
      events: [
        head(
          `${version} 204 `,
          0,
          values.map((one) => ['Connection', one]),
        ),
        complete(),
      ],
    }
  }),
])

describeRows('the lexical corners of a head', [
  {
    name: 'an empty reason phrase without its space',
    wire: 'HTTP/1.1 204\r\n\r\n',
    events: [head('1.1 204 ', 0), complete()],
  },
  {
    name: 'a reason phrase of spaces, tabs and obs-text',
    wire: `HTTP/1.1 204  a\t${OBS_TEXT} \r\n\r\n`,
    events: [head(`1.1 204  a\t${OBS_TEXT} `, 0), complete()],
  },
  {
    name: 'a status beyond 599',
    wire: 'HTTP/1.1 999 \r\nContent-Length: 0\r\n\r\n',
    events: [head('1.1 999 ', 0, [['Content-Length', '0']]), complete()],
  },
  {
    name: 'obs-text in a value, NBSP at its ends included',
    wire: `HTTP/1.1 204 \r\nA: \xa0${OBS_TEXT}\xa0\t\r\n\r\n`,
    events: [head('1.1 204 ', 0, [['A', `\xa0${OBS_TEXT}\xa0`]]), complete()],
  },
  {
    name: 'empty values, with and without space',
    wire: 'HTTP/1.1 204 \r\nA:\r\nB: \t \r\nC:\t\r\n\r\n',
    events: [
      head('1.1 204 ', 0, [
        ['A', ''],
        ['B', ''],
        ['C', ''],
      ]),
      complete(),
    ],
  },
  {
    name: 'colons and spaces inside a value',
    wire: 'HTTP/1.1 204 \r\nA: :b : c\t:\r\n\r\n',
    events: [head('1.1 204 ', 0, [['A', ':b : c\t:']]), complete()],
  },
  {
    name: 'repeated fields, in order and as they are spelled',
    wire: 'HTTP/1.1 204 \r\nSet-Cookie: a\r\nX: 1\r\nset-cookie: b\r\nSet-Cookie: a\r\n\r\n',
    events: [
      head('1.1 204 ', 0, [
        ['Set-Cookie', 'a'],
        ['X', '1'],
        ['set-cookie', 'b'],
        ['Set-Cookie', 'a'],
      ]),
      complete(),
    ],
  },
  {
    name: 'every character of a token in a name',
    wire: "HTTP/1.1 204 \r\n!#$%&'*+-.^_`|~09AZaz: x\r\n\r\n",
    events: [head('1.1 204 ', 0, [["!#$%&'*+-.^_`|~09AZaz", 'x']]), complete()],
  },
  {
    name: 'names as long as the framing fields',
    wire: 'HTTP/1.1 204 \r\nX-23456789: close\r\nX-234567890123: 5\r\nX-234567890123456: x\r\n\r\n',
    events: [
      head('1.1 204 ', 0, [
        ['X-23456789', 'close'],
        ['X-234567890123', '5'],
        ['X-234567890123456', 'x'],
      ]),
      complete(),
    ],
  },
])

describe('ResponseParser reads one response after another', () => {
  test('from the same bytes, as often as expect() is called', () => {
    const statuses: number[] = []
    const parser = new ResponseParser({
      onInformation: ({ status }) => statuses.push(status),
      onHead: ({ status }) => statuses.push(status),
      onContent: () => statuses.push(0),
      onComplete: () => statuses.push(1),
    })
    const first = 'HTTP/1.1 100 \r\n\r\nHTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx'
    const second = `${CHUNKED}1\r\nx\r\n0\r\nA: b\r\n\r\n`
    const bytes = Buffer.from(`${first}${second}${first}`, 'latin1')

    parser.expect('GET')
    const firstTaken = parser.push(bytes)
    parser.expect('GET')
    const secondTaken = parser.push(bytes.subarray(firstTaken))
    parser.expect('HEAD')
    const thirdTaken = parser.push(bytes.subarray(firstTaken + secondTaken))

    expect([firstTaken, secondTaken]).toEqual([first.length, second.length])
    expect(thirdTaken).toBe(first.length - 1)
    expect(statuses).toEqual([100, 200, 0, 1, 200, 0, 1, 100, 200, 1])
  })

  test('and forgets what the one before said about the connection and its 1xx responses', () => {
    const before = `${'HTTP/1.1 100 \r\n\r\n'.repeat(64)}HTTP/1.1 204 \r\n`
    const { parser } = feed([`${before}\r\n`])

    expect(parser.keepAlive).toBe(true)
    parser.expect('GET')
    expect(parser.keepAlive).toBe(false)
    parser.push(Buffer.from(`${before}Connection: close\r\n\r\n`))
    expect(parser.keepAlive).toBe(false)
    parser.expect('GET')
    expect(() => parser.push(Buffer.from(`HTTP/1.1 100 \r\n\r\n${before}`))).toThrow(
      RemoteProtocolError,
    )
  })
})

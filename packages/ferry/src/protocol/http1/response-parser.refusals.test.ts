import { describe, expect, test } from 'vitest'
import { LocalProtocolError, RemoteProtocolError } from '../../errors.ts'
import {
  DEFAULT_PARSER_LIMITS,
  type ParserLimits,
  type ParserState,
  ResponseParser,
} from './response-parser.ts'

interface Row {
  readonly name: string
  /** The bytes, one character a byte. */
  readonly wire: string
  readonly because: RegExp
  readonly limits?: ParserLimits
  readonly method?: string
  /** Content told before the fault, and so the final head; undefined when not even the head was. */
  readonly content?: string
}

const OK = 'HTTP/1.1 200 OK\r\n'
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`
const SMALL: ParserLimits = { maxHeadBytes: 48, maxFields: 3 }
const TRAILING = '\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
// CR and LF have rows of their own.
const CONTROLS = [...Array.from({ length: 32 }).keys(), 127]
  .map((code) => String.fromCharCode(code))
  .filter((character) => !'\t\r\n'.includes(character))

interface Told {
  readonly parser: ResponseParser
  head: boolean
  content: string
  trailers: string
}

function expectResponse(limits = DEFAULT_PARSER_LIMITS, method = 'GET'): Told {
  const parser = new ResponseParser(
    {
      onInformation: () => {},
      onHead: () => {
        told.head = true
      },
      onContent: (bytes, start, end) => {
        told.content += bytes.toString('latin1', start, end)
      },
      onComplete: (trailers) => {
        told.trailers += JSON.stringify(trailers)
      },
    },
    limits,
  )
  const told: Told = { parser, head: false, content: '', trailers: '' }
  parser.expect(method)
  return told
}

function push(parser: ResponseParser, piece: string): number {
  return parser.push(Buffer.from(piece, 'latin1'))
}

function expectRefusal(row: Row, pieces: Iterable<string>): void {
  const told = expectResponse(row.limits, row.method)
  let failure: unknown
  try {
    for (const piece of pieces) push(told.parser, piece)
  } catch (error) {
    failure = error
  }
  expect(failure).toBeInstanceOf(RemoteProtocolError)
  expect((failure as Error).message).toMatch(row.because)
  expect((failure as Error).message).toMatch(/^[^\r\n]+$/)
  expect(told).toMatchObject({
    head: row.content !== undefined,
    content: row.content ?? '',
    trailers: '',
  })
}

function* splitsOf(wire: string): Generator<[string, string]> {
  for (let at = 1; at < wire.length; at++) yield [wire.slice(0, at), wire.slice(at)]
}

function describeRows(title: string, rows: readonly Row[]): void {
  describe.each(rows)(`ResponseParser refuses ${title}: $name`, (row) => {
    test('whole', () => {
      expectRefusal(row, [row.wire])
    })

    test('byte by byte', () => {
      expectRefusal(row, row.wire)
    })

    test('at every split', () => {
      for (const pieces of splitsOf(row.wire)) expectRefusal(row, pieces)
    })

    test('with trailing bytes', () => {
      expectRefusal(row, [row.wire + TRAILING])
      for (const pieces of splitsOf(row.wire + TRAILING)) expectRefusal(row, pieces)
    })
  })
}

/** A head of these lines, its empty line included. */
function withLines(...lines: string[]): string {
  return `${OK}${lines.map((line) => `${line}\r\n`).join('')}\r\n`
}

function rowsOf(because: RegExp, wires: Readonly<Record<string, string>>): Row[] {
  return Object.entries(wires).map(([name, wire]) => ({ name, wire, because }))
}

describeRows('a length', [
  ...['+5', '-5', '5 5', '5,5', '5, 5', '5, 6', '0x5', '5.0', '1e1', '', 'abc', '5;', '\xb2']
    .concat('9007199254740992', '99999999999999999999', '1'.repeat(400))
    .map((value): Row => {
      const wire = withLines(`Content-Length: ${value}`)
      return { name: JSON.stringify(value), wire, because: /bad Content-Length/ }
    }),
  ...rowsOf(/bad Content-Length/, {
    'two that differ': withLines('Content-Length: 5', 'Content-Length: 6'),
    'two that agree': withLines('Content-Length: 5', 'content-length: 5'),
    'an empty one before a good one': withLines('Content-Length:', 'Content-Length: 5'),
    'a bad one of 204': 'HTTP/1.1 204 \r\nContent-Length: x\r\n\r\n',
    'a bad one of 304': 'HTTP/1.1 304 \r\nContent-Length: x\r\n\r\n',
  }),
  {
    name: 'a bad one in answer to HEAD',
    method: 'HEAD',
    wire: withLines('Content-Length: 5, 5'),
    because: /bad Content-Length/,
  },
])

describeRows('a transfer coding', [
  ...['gzip', 'gzip, chunked', 'chunked, identity', 'chunked, chunked', 'identity', '', 'xchunked']
    .concat('chunked;a=b', 'chunked,', ',chunked', '"chunked"', '\xa0chunked', 'chunked\xa0')
    .map((value): Row => {
      const wire = withLines(`Transfer-Encoding: ${value}`)
      return { name: JSON.stringify(value), wire, because: /unsupported Transfer-Encoding/ }
    }),
  ...rowsOf(/unsupported Transfer-Encoding/, {
    'chunked in two lines': withLines('Transfer-Encoding: chunked', 'transfer-encoding: chunked'),
    'gzip and chunked in two lines': withLines(
      'Transfer-Encoding: gzip',
      'Transfer-Encoding: chunked',
    ),
    'chunked in HTTP/1.0': 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
  }),
  ...rowsOf(/both Content-Length and Transfer-Encoding/, {
    'chunked after a length': withLines('Content-Length: 5', 'Transfer-Encoding: chunked'),
    'chunked before a length': withLines('Transfer-Encoding: chunked', 'Content-Length: 5'),
    'identity beside a length': withLines('Transfer-Encoding: identity', 'Content-Length: 5'),
    'chunked beside a length of 304':
      'HTTP/1.1 304 \r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
  }),
])

describeRows('the lines of a head', [
  ...rowsOf(/folded line/, {
    'obs-fold by a space': withLines('A: b', ' c'),
    'obs-fold by a tab': withLines('A: b', '\tc'),
    'obs-fold of nothing': withLines('A: b', ' '),
    'a fold of the status line': `${OK} A: b\r\n\r\n`,
    'a fold of an informational head': `HTTP/1.1 100 \r\nA: b\r\n c\r\n\r\n${OK}`,
  }),
  ...rowsOf(/bare (CR or )?LF/, {
    'a bare LF after the status line': 'HTTP/1.1 200 OK\nA: b\r\n\r\n',
    'a bare LF after a field': `${OK}A: b\nC: d\r\n\r\n`,
    'a bare LF as empty line': `${OK}A: b\r\n\n\r\n\r\n`,
    'LF only': 'HTTP/1.1 200 OK\nContent-Length: 0\n\n',
    'a bare CR in a value': withLines('A: b\rc'),
    'a bare CR at the end of a value': withLines('A: b\r'),
    'a bare CR in a name': withLines('A\rB: c'),
    'a bare CR in the reason': 'HTTP/1.1 200 O\rK\r\n\r\n',
  }),
  ...rowsOf(/bad field name/, {
    'a space before the colon': withLines('A : b'),
    'a tab before the colon': withLines('Content-Length\t: 5'),
    'an empty name': withLines(': b'),
    'a space in a name': withLines('A B: c'),
    'obs-text in a name': withLines('\xc4: b'),
    'a delimiter in a name': withLines('A(B): c'),
  }),
  ...rowsOf(/no colon/, {
    'no colon in the only field': withLines('Abc'),
    'no colon before a good field': withLines('Abc', 'D: e'),
    'no colon after a good field': withLines('D: e', 'Abc'),
    'no colon in an informational head': 'HTTP/1.1 100 \r\nAbc\r\n\r\n',
  }),
])

describeRows('a control character', [
  ...CONTROLS.flatMap((character) =>
    rowsOf(/control character/, {
      [`${JSON.stringify(character)} in a value`]: withLines(`A: b${character}c`),
      [`${JSON.stringify(character)} at the end of a value`]: withLines(`A: b${character}`),
      [`${JSON.stringify(character)} in a name`]: withLines(`A${character}B: c`),
      [`${JSON.stringify(character)} in the reason`]: `HTTP/1.1 200 O${character}K\r\n\r\n`,
    }),
  ),
])

describeRows(
  'a status line',
  rowsOf(/expected an HTTP\/1\.1 status line/, {
    'status 099': 'HTTP/1.1 099 OK\r\n\r\n',
    'status 000': 'HTTP/1.1 000 OK\r\n\r\n',
    'a status of two digits': 'HTTP/1.1 20 OK\r\n\r\n',
    'a status of four digits': 'HTTP/1.1 2000 OK\r\n\r\n',
    'a signed status': 'HTTP/1.1 +20 OK\r\n\r\n',
    'no status': 'HTTP/1.1 \r\n\r\n',
    'the version alone': 'HTTP/1.1\r\n\r\n',
    'two spaces before the status': 'HTTP/1.1  200 OK\r\n\r\n',
    'a tab before the status': 'HTTP/1.1\t200 OK\r\n\r\n',
    'a tab after the status': 'HTTP/1.1 200\tOK\r\n\r\n',
    'HTTP/1.2': 'HTTP/1.2 200 OK\r\n\r\n',
    'HTTP/1.10': 'HTTP/1.10 200 OK\r\n\r\n',
    'HTTP/1.': 'HTTP/1. 200 OK\r\n\r\n',
    'a line that is long': `HTTP/1.1 ${'x'.repeat(60)}\r\n\r\n`,
    'an empty line after 100': `HTTP/1.1 100 \r\n\r\n\r\n${OK}\r\n`,
  }),
)

describeRows('at once, with no line end to be seen,', [
  ...rowsOf(/expected an HTTP\/1\.1 status line/, {
    'an SSH banner': 'S',
    'HTTP/2.0': 'HTTP/2',
    'HTTP/0.9': 'HTTP/0',
    'a lower-case http': 'h',
    'a space before the status line': ' ',
    'an empty line before the status line': '\r\n',
    ICY: 'I',
    'a byte above ASCII': '\xff',
    'garbage after an informational head': 'HTTP/1.1 100 \r\n\r\nX',
  }),
  ...rowsOf(/expected an HTTP\/1\.1 status line|control character/, {
    'a TLS alert': '\x15\x03\x03',
  }),
])

describeRows('too much of a head', [
  {
    name: 'bytes, before the head ends',
    wire: `${OK}A: ${'b'.repeat(SMALL.maxHeadBytes)}`.slice(0, SMALL.maxHeadBytes + 1),
    limits: SMALL,
    because: /longer than 48 bytes/,
  },
  {
    name: 'bytes, one by its end',
    wire: withLines(`A: ${'b'.repeat(SMALL.maxHeadBytes + 1 - withLines('A: ').length)}`),
    limits: SMALL,
    because: /longer than 48 bytes/,
  },
  {
    name: 'bytes of a status line',
    wire: `HTTP/1.1 200 ${'x'.repeat(100)}\r\n\r\n`,
    limits: SMALL,
    because: /longer than 48 bytes/,
  },
  {
    name: 'fields',
    wire: withLines('A:', 'A:', 'A:', 'A:'),
    limits: SMALL,
    because: /more than 3 fields/,
  },
  {
    name: 'informational responses',
    wire: 'HTTP/1.1 100 \r\n\r\n'.repeat(65),
    because: /more than 64 informational/,
  },
])

function chunkRows(because: RegExp, wires: Readonly<Record<string, string>>): Row[] {
  return rowsOf(because, wires).map((row) => ({ ...row, wire: CHUNKED + row.wire, content: '' }))
}

describeRows('the size of a chunk', [
  ...chunkRows(/size is not hexadecimal/, {
    '0x2': '0x2\r\n',
    empty: '\r\n',
    'only an extension': ';a=b\r\n',
    'a space before': ' 2\r\n',
    'a space inside': '2 2\r\n',
    'letters after blanks': '2 a\r\n',
    negative: '-2\r\n',
    'with a sign': '+2\r\n',
    'with an underscore': '1_0\r\n',
    'beyond F': '2g\r\n',
    'a colon, next to 9': ':\r\n',
    'a slash, next to 0': '/\r\n',
    'an at sign, next to A': '@\r\n',
    'a backtick, next to a': '`\r\n',
    'a G, next to F': 'G\r\n',
    'control characters that case folding turns into letters': '\x01\r\n',
    NUL: '2\0\r\n',
    'a bare LF after it': '2\n',
    'a bare LF alone': '\n',
  }),
  ...chunkRows(/size is beyond 2\^53/, {
    '2^53': '20000000000000\r\n',
    '2^64 + 2': '10000000000000002\r\n',
    'endless digits': 'f'.repeat(400),
  }),
  ...chunkRows(/expected LF after CR/, {
    'a bare CR after it': '2\rx',
    'two CR after it': '2\r\r\n',
    'a bare CR after its extension': '2;a\r;b\r\n',
  }),
])

describeRows('the extensions of a chunk', [
  ...[...CONTROLS, '\n'].flatMap((character) =>
    chunkRows(/control character in its extensions/, {
      [JSON.stringify(character)]: `2;a${character}\r\nxx\r\n`,
    }),
  ),
  {
    name: 'too long',
    wire: `${CHUNKED}2;${'a'.repeat(65)}`,
    limits: { ...SMALL, maxHeadBytes: 64 },
    because: /extensions are too long/,
    content: '',
  },
])

describeRows('what follows the data of a chunk', [
  ...chunkRows(/expected CRLF after its data/, {
    'more data': '2\r\nabc\r\n',
    'a bare LF': '2\r\nab\n0\r\n\r\n',
    'a bare CR': '2\r\nab\r0\r\n\r\n',
    'two CR': '2\r\nab\r\r\n',
    'the next size at once': '2\r\nab0\r\n\r\n',
  }).map((row) => ({ ...row, content: 'ab' })),
])

describeRows(
  'trailers',
  [
    ...chunkRows(/control character, bare CR or LF|bare LF/, {
      'a bare LF': '0\r\nA: b\nC: d\r\n\r\n',
      'a bare LF as the empty line': '0\r\n\n',
      'a bare CR': '0\r\nA: b\rc\r\n\r\n',
      NUL: '0\r\nA: b\0\r\n\r\n',
      DEL: '0\r\nA: \x7f\r\n\r\n',
      'obs-fold': '0\r\nA: b\r\n c\r\n\r\n',
      'a fold of the last chunk': '0\r\n A: b\r\n\r\n',
    }),
    ...chunkRows(/bad field name/, {
      'a space before the colon': '0\r\nA : b\r\n\r\n',
      'an empty name': '0\r\n: b\r\n\r\n',
    }),
    ...chunkRows(/no colon/, { 'no colon': '0\r\nAbc\r\n\r\n' }),
    ...chunkRows(/more than 3 fields/, { 'too many': '0\r\nA:\r\nB:\r\nC:\r\nD:\r\n\r\n' }),
    ...chunkRows(/longer than 48 bytes/, {
      'too long, before they end': `0\r\nA: ${'b'.repeat(48)}`,
      'too long by one, at their end': `0\r\nA: ${'b'.repeat(40)}\r\n\r\n`,
    }),
  ].map((row) => ({ ...row, limits: SMALL })),
)

describe('ResponseParser holds its limits to the byte, however the bytes are split:', () => {
  const fits = withLines(`A: ${'b'.repeat(SMALL.maxHeadBytes - withLines('A: ').length)}`)
  const extended = `1;${'a'.repeat(47)}\r\nx\r\n`
  const trailers = `0\r\nA: ${'b'.repeat(39)}\r\n\r\n`
  const rows: [name: string, wire: string, state: ParserState][] = [
    ['a head of just the limit', fits, 'until-close'],
    ['just as many fields', withLines('A:', 'B:', 'C:'), 'until-close'],
    ['extensions of just the limit', `${CHUNKED}2;${'a'.repeat(47)}\r\n`, 'chunk-data'],
    ['extensions again in the next chunk', CHUNKED + extended.repeat(2), 'chunk-size'],
    ['trailers of just the limit', CHUNKED + trailers, 'complete'],
  ]

  test.each(rows)('%s', (_, wire, state) => {
    for (const pieces of [[wire], [...wire], ...splitsOf(wire)]) {
      const { parser } = expectResponse(SMALL)
      for (const piece of pieces) expect(push(parser, piece)).toBe(piece.length)
      expect(parser.state).toBe(state)
    }
  })

  test('the largest length and the largest chunk are 2^53 - 1', () => {
    const byLength = expectResponse().parser
    push(byLength, withLines('Content-Length: 9007199254740991'))
    const byChunk = expectResponse().parser
    push(byChunk, `${CHUNKED}1fffffffffffff\r\n`)

    expect(byLength.state).toBe('length')
    expect(byChunk.state).toBe('chunk-data')
  })
})

describe('ResponseParser tells where it stands', () => {
  test('by its state', () => {
    const { parser } = expectResponse()
    const seen: ParserState[] = []
    const steps = ['', CHUNKED, '3', '\r\n', 'a', 'bc', '\r', '\n', '0\r\n', '\r\n', 'next']

    for (const step of steps) {
      push(parser, step)
      seen.push(parser.state)
    }

    expect(seen).toEqual([
      'head',
      'chunk-size',
      'chunk-size',
      'chunk-data',
      'chunk-data',
      'chunk-end',
      'chunk-end',
      'chunk-size',
      'trailers',
      'complete',
      'complete',
    ])
  })

  test('and takes nothing before a response is expected', () => {
    const parser = new ResponseParser({
      onInformation: () => expect.unreachable(),
      onHead: () => expect.unreachable(),
      onContent: () => expect.unreachable(),
      onComplete: () => expect.unreachable(),
    })

    expect(push(parser, withLines())).toBe(0)
    expect([parser.state, parser.finish(), parser.keepAlive]).toEqual(['idle', true, false])
  })
})

describe('ResponseParser.expect() is refused', () => {
  const rows: [state: ParserState, wire: string][] = [
    ['head', ''],
    ['length', withLines('Content-Length: 1')],
    ['until-close', withLines()],
    ['chunk-size', CHUNKED],
    ['chunk-data', `${CHUNKED}1\r\n`],
    ['chunk-end', `${CHUNKED}1\r\nx`],
    ['trailers', `${CHUNKED}0\r\n`],
    ['tunnel', 'HTTP/1.1 101 \r\n\r\n'],
  ]

  test.each(rows)('in state %s', (state, wire) => {
    const { parser } = expectResponse()
    push(parser, wire)

    expect(parser.state).toBe(state)
    expect(() => parser.expect('GET')).toThrow(LocalProtocolError)
    expect(parser.state).toBe(state)
  })
})

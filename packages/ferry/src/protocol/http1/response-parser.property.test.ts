import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RemoteProtocolError } from '../../errors.ts'
import { ResponseParser } from './response-parser.ts'
import { HeaderFields } from '../semantics/header-fields.ts'
import { formatChunkSize, formatLastChunk } from './request-writer.ts'

type Line = readonly [name: string, value: string]

/** All that a parser told, content merged, and what became of it. */
interface Transcript {
  readonly heads: unknown[]
  content: string
  readonly trailers: unknown[]
  refused: boolean
  taken: number
  whole: boolean
  ended: string
}

const LIMITS = { maxHeadBytes: 200, maxFields: 8 }

function read(bytes: Buffer, cuts: readonly number[], method: string): Transcript {
  const transcript: Transcript = {
    heads: [],
    content: '',
    trailers: [],
    refused: false,
    taken: 0,
    whole: false,
    ended: '',
  }
  const note = (head: { status: number; statusText: string; headers: Iterable<Line> }): unknown => [
    head.status,
    head.statusText,
    ...head.headers,
  ]
  const parser = new ResponseParser(
    {
      onInformation: (head) => transcript.heads.push(note(head)),
      onHead: (head, length) => transcript.heads.push([note(head), length]),
      onContent: (from, start, end) => {
        transcript.content += from.toString('latin1', start, end)
      },
      onComplete: (trailers) => transcript.trailers.push([...trailers]),
    },
    LIMITS,
  )
  parser.expect(method)
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((a, b) => a - b)
  try {
    for (const end of [...ends, bytes.length]) {
      transcript.taken += parser.push(bytes.subarray(transcript.taken, end))
      if (transcript.taken < end) break
    }
    transcript.ended = parser.state
    transcript.whole = parser.finish()
  } catch (error) {
    // How much was taken before a refusal depends on the pieces; that it is refused does not.
    if (!(error instanceof RemoteProtocolError)) throw error
    Object.assign(transcript, { refused: true, taken: 0, ended: 'refused' })
  }
  return transcript
}

const cuts = fc.array(fc.nat(), { maxLength: 12 })
const method = fc.constantFrom('GET', 'HEAD', 'CONNECT')
// X- keeps random names from being framing fields.
const line = fc.tuple(
  fc.stringMatching(/^X-[!#$%&'*+\-.^_`|~0-9A-Za-z]{0,5}$/),
  fc.stringMatching(/^([\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]{0,6}[\x21-\x7e\x80-\xff])?)?$/),
)
const lines = fc.array(line, { maxLength: 4 })
const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 6 })

function formatLines(fields: readonly Line[], ows: string): string {
  return fields.map(([name, value]) => `${name}:${ows}${value}${ows}\r\n`).join('')
}

function formatChunks(contents: readonly Uint8Array[], extension: string): string {
  return contents
    .map((chunk) => {
      const size = formatChunkSize(chunk.length).replace('\r', `${extension}\r`)
      return `${size}${toLatin1(chunk)}\r\n`
    })
    .join('')
}

function toLatin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}

describe('ResponseParser, for any valid response at any splits,', () => {
  const response = fc.record({
    framing: fc.constantFrom('length', 'chunked', 'close'),
    lines,
    trailers: lines,
    chunks,
    ows: fc.constantFrom('', ' ', '\t '),
    extension: fc.constantFrom('', ';a', ';a="b c"'),
  })

  test('gives back its fields, its content and its trailers', () => {
    fc.assert(
      fc.property(response, cuts, (given, at) => {
        const content = given.chunks.map(toLatin1).join('')
        const lastChunk =
          formatLastChunk(HeaderFields.empty).slice(0, -2) + formatLines(given.trailers, given.ows)
        const framed = {
          length: { lines: [['Content-Length', String(content.length)]] as Line[], wire: content },
          chunked: {
            lines: [['Transfer-Encoding', 'chunked']] as Line[],
            wire: `${formatChunks(given.chunks, given.extension)}${lastChunk}\r\n`,
          },
          close: { lines: [] as Line[], wire: content },
        }[given.framing]
        const length = given.framing === 'length' ? content.length : undefined
        const fields = [...given.lines, ...framed.lines]
        const head = `HTTP/1.1 200 OK\r\n${formatLines(fields, given.ows)}\r\n`
        const bytes = Buffer.from(head + framed.wire, 'latin1')

        const transcript = read(bytes, at, 'GET')

        expect(transcript).toEqual({
          heads: [[[200, 'OK', ...fields], length]],
          content,
          trailers: [given.framing === 'chunked' ? given.trailers : []],
          refused: false,
          taken: bytes.length,
          whole: true,
          ended: given.framing === 'close' ? 'until-close' : 'complete',
        })
      }),
      { numRuns: 500 },
    )
  })
})

describe('ResponseParser, for any bytes at all,', () => {
  const piece = fc.constantFrom(
    'HTTP/1.1 200 OK\r\n',
    'HTTP/1.0 200 \r\n',
    'HTTP/1.1 100 \r\n\r\n',
    'HTTP/1.1 204 \r\n',
    'HTTP/1.1 101 \r\n',
    'Content-Length: 3\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Connection: close\r\n',
    'A: b',
    '0\r\n',
    '3\r\nabc\r\n',
    'x'.repeat(60),
    '\r\n',
    '\r\n\r\n',
    '\r',
    '\n',
    ' ',
    ';',
    '\0',
    '3',
  )
  const soup = fc.array(piece, { maxLength: 12 }).map((parts) => parts.join(''))
  const response = fc
    .tuple(fc.constantFrom('Content-Length: 3', 'Transfer-Encoding: chunked'), soup)
    .map(([framing, rest]) => `HTTP/1.1 200 OK\r\n${framing}\r\n\r\n${rest}`)
  const noise = fc.uint8Array({ maxLength: 60 }).map(toLatin1)
  const bytes = fc
    .oneof(
      soup,
      response,
      noise,
      noise.map((text) => `HTTP/1.1 200 OK\r\n${text}\r\n\r\n`),
    )
    .map((text) => Buffer.from(text, 'latin1'))

  // `read` throws on when anything but a RemoteProtocolError comes out.
  test('throws nothing but RemoteProtocolError, and stops only at an end', () => {
    fc.assert(
      fc.property(bytes, cuts, method, (given, at, asked) => {
        const { refused, taken, ended } = read(given, at, asked)

        if (!refused && taken < given.length) expect(['complete', 'tunnel']).toContain(ended)
      }),
      { numRuns: 2_000 },
    )
  })

  test('reads the same, or refuses the same, however they are split', () => {
    fc.assert(
      fc.property(bytes, cuts, method, (given, at, asked) => {
        const everyByte = Array.from({ length: given.length }, (_, index) => index)
        const whole = read(given, [], asked)

        expect(read(given, at, asked)).toEqual(whole)
        expect(read(given, everyByte, asked)).toEqual(whole)
      }),
      { numRuns: 2_000 },
    )
  })
})

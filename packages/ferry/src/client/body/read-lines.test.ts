import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RemoteProtocolError, StreamError } from '../../errors.ts'
import { createResponseStream } from '../../transport/response-stream.ts'
import { readLines, type ReadLinesOptions } from './read-lines.ts'

async function toList<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

function linesOf(pieces: readonly Uint8Array[], options: ReadLinesOptions = {}): Promise<string[]> {
  return toList(readLines(createResponseStream(pieces.values()), options))
}

test.each<[string, string[]]>([
  ['', []],
  ['a', ['a']],
  ['a\n', ['a']],
  ['a\nb', ['a', 'b']],
  ['a\r\nb\r\n', ['a', 'b']],
  ['\n\na\n\n', ['', '', 'a', '']],
  ['a\rb\n', ['a\rb']],
  ['a\r\r\nb', ['a\r', 'b']],
  ['a\r', ['a\r']],
  ['a\n\r', ['a', '\r']],
  ['\uFEFFa\n\uFEFFb', ['a', '\uFEFFb']],
  ['grüße €\u2028😀\n', ['grüße €\u2028😀']],
])('readLines() of %j, at every split', async (text, lines) => {
  const bytes = Buffer.from(text)
  for (let at = 0; at <= bytes.length; at++) {
    expect(await linesOf([bytes.subarray(0, at), bytes.subarray(at)]), `at ${at}`).toEqual(lines)
  }
})

test('readLines() gives what split() does, whatever the pieces', async () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'ü', '😀', '\n', '\r', '\r\n') })
  await fc.assert(
    fc.asyncProperty(text, fc.integer({ min: 1, max: 5 }), async (content, size) => {
      const bytes = Buffer.from(content)
      const pieces: Buffer[] = []
      for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size))
      const expected = content.split(/\r?\n/)
      if (expected.at(-1) === '') expected.pop()

      expect(await linesOf(pieces)).toEqual(expected)
    }),
  )
})

test('readLines() makes U+FFFD of what is no text, at the end too', async () => {
  expect(await linesOf([Buffer.from('a\xff\nb\xc3', 'latin1')])).toEqual(['a\uFFFD', 'b\uFFFD'])
})

test('readLines() follows the charset', async () => {
  const bytes = Buffer.from('ü\nA\n', 'utf16le')
  const contentType = 'text/plain; charset=utf-16le'

  for (let at = 0; at <= bytes.length; at++) {
    const pieces = [bytes.subarray(0, at), bytes.subarray(at)]
    expect(await linesOf(pieces, { contentType })).toEqual(['ü', 'A'])
  }
})

test.each([
  ['12345', 5, ['12345']],
  ['12345\r\n12345\n', 5, ['12345', '12345']],
  ['12345\r', 5, undefined],
  ['1\n123456\n1', 5, undefined],
  ['123456', 5, undefined],
])('readLines() of %j with at most %i characters a line', async (text, maxLineLength, lines) => {
  const bytes = Buffer.from(text)
  for (let at = 0; at <= bytes.length; at++) {
    const options = { maxLineLength, what: 'GET http://h/x' }
    const taken = linesOf([bytes.subarray(0, at), bytes.subarray(at)], options)
    if (lines === undefined) {
      await expect(taken, `at ${at}`).rejects.toThrow(
        'Cannot read the lines of GET http://h/x: one is longer than 5 characters',
      )
    } else {
      expect(await taken, `at ${at}`).toEqual(lines)
    }
  }
})

test('readLines() does not gather a line without an end', async () => {
  let pulled = 0
  let closed = false
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        pulled++
        yield await Promise.resolve(Buffer.alloc(10_000, 'x'))
      }
    } finally {
      closed = true
    }
  }
  const body = createResponseStream(endless())
  const taken = toList(readLines(body, { maxLineLength: 100_000 }))

  await expect(taken).rejects.toThrow(RemoteProtocolError)
  await expect.poll(() => closed).toBe(true)
  expect(pulled).toBeLessThan(40)
})

test('readLines() gives the lines before an error, and gives up the body when it is left', async () => {
  const lost = new StreamError('lost')
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(Buffer.from('a\nb\nc'))
    throw lost
  }
  const seen: string[] = []
  const reading = (async () => {
    for await (const line of readLines(createResponseStream(pieces()))) seen.push(line)
  })()
  await expect(reading).rejects.toBe(lost)
  expect(seen).toEqual(['a', 'b'])

  const body = createResponseStream(pieces())
  for await (const line of readLines(body)) {
    expect(line).toBe('a')
    break
  }
  expect(body.used).toBe(true)
})

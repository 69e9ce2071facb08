import { createReadStream } from 'node:fs'
import { appendFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LocalProtocolError } from '../../errors.ts'
import type { StreamedContent } from '../../transport/content.ts'
import { fileContent } from '../../transport/file-content.ts'
import { readStreamToBytes } from '../../transport/read-stream.ts'
import { multipartContent } from './multipart-content.ts'
import { filePart, type FormPart, MultipartForm } from './multipart-form.ts'

/** What is sent, with `BOUNDARY` in the place of the random one. */
async function write(form: FormData | Iterable<FormPart>): Promise<string> {
  const { content, contentType } = multipartContent(form)
  const boundary = contentType.split('boundary=')[1] as string
  const bytes = await readStreamToBytes(content)
  expect(content.length ?? bytes.length).toBe(bytes.length)
  return bytes.toString().replaceAll(boundary, 'BOUNDARY')
}

/** What Node's own parser reads. */
async function readBack(form: FormData | Iterable<FormPart>): Promise<FormData> {
  const { content, contentType } = multipartContent(form)
  const bytes = new Uint8Array(await readStreamToBytes(content))
  return new Response(bytes, { headers: { 'content-type': contentType } }).formData()
}

class TestFile implements AsyncDisposable {
  readonly path: string
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
    this.path = join(folder, 'näme "x".txt')
  }

  static async create(content: string): Promise<TestFile> {
    const file = new TestFile(await mkdtemp(join(tmpdir(), 'ferry-form-')))
    await writeFile(file.path, content)
    return file
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true })
  }
}

test('multipartContent() writes parts as RFC 7578 says', async () => {
  const form = new MultipartForm()
    .addField('text', 'grüße\n')
    .add_field('number', 7)
    .addField('json', '{}', { contentType: 'application/json', headers: { 'X-A': 'b' } })
    .addField('bytes', Buffer.from('abc'), { filename: 'a.bin' })

  expect(await write(form)).toBe(
    [
      '--BOUNDARY',
      'Content-Disposition: form-data; name="text"',
      '',
      'grüße\n',
      '--BOUNDARY',
      'Content-Disposition: form-data; name="number"',
      '',
      '7',
      '--BOUNDARY',
      'Content-Disposition: form-data; name="json"',
      'Content-Type: application/json',
      'X-A: b',
      '',
      '{}',
      '--BOUNDARY',
      'Content-Disposition: form-data; name="bytes"; filename="a.bin"',
      'Content-Type: application/octet-stream',
      '',
      'abc',
      '--BOUNDARY--',
      '',
    ].join('\r\n'),
  )
})

test('multipartContent() of a form without parts is the closing boundary', async () => {
  expect(await write([])).toBe('--BOUNDARY--\r\n')
})

test('multipartContent() writes FormData as Node does, but for the boundary', async () => {
  const form = new FormData()
  form.append('a\r\nb"c\n', 'x\ny\rz\r\n')
  form.append('f', new File(['q'], 'n"\r\nä\n.txt', { type: 'text/plain' }))
  form.append('b', new Blob(['z']))
  form.append('b', 'again')
  const theirs = await new Response(form).text()
  const boundary = /^--(\S+)/.exec(theirs)?.[1] as string

  expect(await write(form)).toBe(theirs.replaceAll(boundary, 'BOUNDARY'))
})

test('multipartContent() gives what a parser of FormData reads', async () => {
  // Node's parser takes neither empty names nor a Blob from an empty file name.
  const text = fc.string({ unit: 'grapheme', minLength: 1 }).map((one) => one.toWellFormed())
  const parts = fc.array(fc.record({ name: text, value: text, filename: fc.option(text) }))
  await fc.assert(
    fc.asyncProperty(parts, async (list) => {
      const form = list.map(({ name, value, filename }) => ({
        name,
        value,
        filename: filename ?? undefined,
      }))
      const read = await readBack(form)

      const seen: unknown[] = []
      for (const [name, value] of read) {
        if (typeof value === 'string') seen.push([name, value, undefined])
        else seen.push([name, await value.text(), value.name])
      }
      expect(seen).toEqual(form.map(({ name, value, filename }) => [name, value, filename]))
    }),
    { numRuns: 50 },
  )
})

test('multipartContent() with text and short bytes alone is one piece', () => {
  expect(multipartContent([{ name: 'a', value: 'b' }]).content).toBeInstanceOf(Uint8Array)
})

test('multipartContent() has a boundary of its own each time', () => {
  const types = Array.from({ length: 100 }, () => multipartContent([]).contentType)

  expect(new Set(types).size).toBe(100)
})

test('multipartContent() opens files for each attempt, and knows the length', async () => {
  await using file = await TestFile.create('content')
  const large = Buffer.alloc(200_000, 'l')
  const form = [await filePart('file', file.path), { name: 'large', value: large }]
  const { content } = multipartContent(form)
  const streamed = content as StreamedContent

  const first = await readStreamToBytes(streamed)
  const second = await readStreamToBytes(streamed)

  expect(streamed.replayable).toBe(true)
  expect(first.length).toBe(streamed.length)
  expect(second.equals(first)).toBe(true)
  expect(first.toString()).toContain('filename="näme %22x%22.txt"\r\n')
})

test('multipartContent() fails when a file is another by the second attempt', async () => {
  await using file = await TestFile.create('content')
  const { content } = multipartContent([await filePart('file', file.path)])
  await readStreamToBytes(content)
  await writeFile(`${file.path}.new`, 'content')
  await rename(`${file.path}.new`, file.path)

  await expect(readStreamToBytes(content)).rejects.toMatchObject({ code: 'representation-changed' })
})

test('multipartContent() sends of a growing file what it announced', async () => {
  await using file = await TestFile.create('content')
  const value = await fileContent(file.path)
  await appendFile(file.path, 'more')

  expect((await write([{ name: 'f', value }])).includes('more')).toBe(false)
})

test('multipartContent() with a stream has no length and goes once', async () => {
  await using file = await TestFile.create('content')
  const stream = createReadStream(file.path)
  const { content } = multipartContent([
    { name: 'a', value: 'b' },
    { name: 'file', value: stream },
  ])

  expect(content).toMatchObject({ length: undefined, replayable: false })
  const text = (await readStreamToBytes(content)).toString()
  expect(text).toContain('name="file"; filename="näme %22x%22.txt"\r\n')
  expect(text).toContain('\r\n\r\ncontent\r\n--')
  await expect(readStreamToBytes(content)).rejects.toThrow(TypeError)
})

test.each([
  [3, 'abcd', '3 bytes announced, at least 4 given'],
  [3, 'ab', '3 bytes announced, 2 given'],
])('a part of %i bytes that gives %j is an error', async (length, text, message) => {
  const part: StreamedContent = {
    length,
    replayable: true,
    async *open() {
      yield await Promise.resolve(Buffer.from(text))
    },
  }
  const makesUp = Buffer.from('x'.repeat(2 * length - text.length))
  const { content } = multipartContent([
    { name: 'a', value: part },
    { name: 'b', value: makesUp },
  ])

  await expect(readStreamToBytes(content)).rejects.toThrow(message)
})

test('leaving multipart content closes the part that is open, and opens no other', async () => {
  const told: string[] = []
  const part = (name: string): FormPart => ({
    name,
    value: {
      replayable: true,
      async *open() {
        told.push(`open ${name}`)
        try {
          for (;;) yield await Promise.resolve(Buffer.from('x'))
        } finally {
          told.push(`close ${name}`)
        }
      },
    },
  })
  const { content } = multipartContent([part('a'), part('b')])

  let pieces = 0
  for await (const piece of (content as StreamedContent).open()) {
    if (piece.length === 1 && ++pieces === 3) break
  }

  expect(told).toEqual(['open a', 'close a'])
})

test('an abort while a part is waited for ends the content there', async () => {
  const stop = new AbortController()
  const silent = new ReadableStream<Uint8Array>()
  const { content } = multipartContent([
    { name: 'a', value: silent },
    { name: 'b', value: 'never' },
  ])
  const pieces: string[] = []
  const reading = (async () => {
    for await (const piece of (content as StreamedContent).open(stop.signal)) {
      pieces.push(Buffer.from(piece).toString())
    }
  })()
  await new Promise((resolve) => setImmediate(resolve))
  stop.abort()
  await reading

  expect(pieces).toHaveLength(1)
})

test.each<[string, FormPart, string]>([
  ['a value', { name: 'a"', value: undefined as never }, 'form part "a\\"": Cannot send content'],
  ['an object', { name: 'a', value: {} as never }, 'of type Object'],
  ['a name', { name: 1 as never, value: '' }, 'form part 1: its name is not text'],
  ['a type', { name: 'a', value: '', contentType: 'a/b\r\nX: y' }, 'Content-Type'],
  ['a field', { name: 'a', value: '', headers: { 'a b': 'c' } }, 'not a token'],
  ['its own field', { name: 'a', value: '', headers: { 'content-type': 'a/b' } }, 'contentType'],
])('multipartContent() refuses %s that cannot stand there', (_name, part, message) => {
  expect(() => multipartContent([part])).toThrow(LocalProtocolError)
  expect(() => multipartContent([part])).toThrow(message)
})

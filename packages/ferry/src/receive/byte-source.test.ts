import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { createSender } from '../testing/upload-fixture.ts'
import { type ByteSink, sourceOf } from './byte-source.ts'

/** Notes everything that a source tells. */
class RecordingSink implements ByteSink {
  readonly log: string[] = []

  onChunk(chunk: Uint8Array): void {
    this.log.push(Buffer.from(chunk).toString())
  }

  onEnd(): void {
    this.log.push('end')
  }

  onError(error: Error): void {
    this.log.push(`error ${error.message}`)
  }
}

/** As many turns as anything here takes. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
}

async function* iterate(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) {
    await Promise.resolve()
    if (text === 'throw') throw new Error('broken')
    yield Buffer.from(text)
  }
}

describe.each([
  ['a readable', (...texts: string[]) => readableOf(...texts)],
  ['something to be iterated', (...texts: string[]) => iterate(...texts)],
])('sourceOf() %s', (_, create) => {
  test('pushes chunks, then the end', async () => {
    const sink = new RecordingSink()
    sourceOf(create('a', 'b')).start(sink)
    await settle()

    expect(sink.log.join('')).toBe('abend')
  })

  test('tells of an error once, and of nothing behind it', async () => {
    const sink = new RecordingSink()
    sourceOf(create('a', 'throw')).start(sink)
    await settle()

    expect(sink.log).toEqual(['a', 'error broken'])
  })

  test('pushes nothing after it was cancelled', async () => {
    const sink = new RecordingSink()
    const source = sourceOf(create('a', 'b', 'throw'))
    sink.onChunk = () => {
      sink.log.push('first')
      source.cancel()
    }
    source.start(sink)
    source.resume()
    await settle()

    expect(sink.log).toEqual(['first'])
  })

  test('waits while it is paused', async () => {
    const sink = new RecordingSink()
    const source = sourceOf(create('a', 'b', 'c', 'd'))
    source.start(sink)
    source.pause()
    await settle()
    const before = sink.log.length
    source.resume()
    await settle()

    expect(before).toBeLessThan(2)
    expect(sink.log.join('')).toBe('abcdend')
  })
})

function readableOf(...texts: readonly string[]): Readable {
  return Readable.from(iterate(...texts), { objectMode: false })
}

test('sourceOf() tells of a readable that closes without an end', async () => {
  const sink = new RecordingSink()
  const readable = createSender()
  sourceOf(readable).start(sink)
  readable.push('a')
  await settle()

  readable.destroy()
  await settle()

  expect(sink.log).toEqual(['a', 'error the connection broke'])
})

test('sourceOf() tells of a readable that has ended, or was closed, before', async () => {
  const [ended, closed] = [readableOf(), createSender()]
  ended.resume()
  await once(ended, 'end')
  closed.destroy()
  const sinks = [new RecordingSink(), new RecordingSink()]

  for (const [index, readable] of [ended, closed].entries()) {
    sourceOf(readable).start(sinks[index] as RecordingSink)
  }
  await settle()

  expect(sinks.map(({ log }) => log)).toEqual([['end'], ['error the connection broke']])
})

test('sourceOf() leaves a cancelled request open for an answer, and minds no later error', async () => {
  await using server = createServer((incoming, response) => {
    const source = sourceOf(incoming)
    source.start({
      onChunk: () => {
        source.cancel()
        response.writeHead(413, { connection: 'close' }).end('too large')
        response.once('finish', () => incoming.destroy(new Error('later')))
      },
      onEnd: () => {},
      onError: () => {},
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const outgoing = request({ port, host: '127.0.0.1', method: 'POST' })
  outgoing.on('error', () => {})
  outgoing.write('abc')

  const [response] = (await once(outgoing, 'response')) as [{ statusCode: number }]

  expect(response.statusCode).toBe(413)
  outgoing.destroy()
})

test('only a request that nobody else listens to gives its chunks away', async () => {
  const answers: boolean[] = []
  const server = createServer((incoming, response) => {
    const source = sourceOf(incoming)
    source.start(new RecordingSink())
    answers.push(source.givesChunksAway)
    incoming.on('data', () => {})
    answers.push(source.givesChunksAway)
    incoming.on('end', () => response.end())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sent = request({ port: (server.address() as AddressInfo).port, method: 'PUT' })
  sent.end('content')
  const [response] = (await once(sent, 'response')) as [Readable]
  await response.resume().toArray()
  server.close()

  expect(answers).toEqual([true, false])
  expect(sourceOf(readableOf('a')).givesChunksAway).toBe(false)
  expect(sourceOf(iterate('a')).givesChunksAway).toBe(false)
})

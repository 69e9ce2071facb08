/** The reads of a TcpClient on a network in memory: pieces in every cut, ends, limits, aborts. */
import { getEventListeners } from 'node:events'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FakeClock } from '../testing/fake-clock.ts'
import { MemoryBackend, type MemoryStream } from './memory-backend.ts'
import { TcpClient } from './tcp-client.ts'
import type { TcpClientOptions } from './tcp-client-options.ts'

interface Pair {
  readonly client: TcpClient
  readonly far: MemoryStream
  readonly clock: FakeClock
}

async function connect(options: Partial<TcpClientOptions> = {}): Promise<Pair> {
  const backend = new MemoryBackend()
  const clock = new FakeClock()
  const client = new TcpClient({ host: 'a.test', port: 7, backend, clock, ...options })
  await client.connect()
  return { client, clock, far: backend.streams[0] as MemoryStream }
}

async function chunksOf(client: TcpClient): Promise<string[]> {
  const chunks: string[] = []
  for await (const chunk of client) chunks.push(chunk.toString('latin1'))
  return chunks
}

test('receive() gives what has come, at most its size, and nothing at the end', async () => {
  const { client, far } = await connect()
  far.send('abcde')
  far.sendEnd()

  const pieces = [await client.receive(3), await client.receive(3), await client.receive(3)]

  expect(pieces.map(String)).toEqual(['abc', 'de', ''])
  expect(await client.receive()).toHaveLength(0)
})

test('receive() waits for the first byte', async () => {
  const { client, far } = await connect()
  const reading = client.receive()

  far.send('x')

  expect(String(await reading)).toBe('x')
})

test('readExactly() waits for all of it, over pieces', async () => {
  const { client, far } = await connect()
  const reading = client.readExactly(5)
  for (const piece of ['a', 'bc', 'def']) far.send(piece)

  expect(String(await reading)).toBe('abcde')
  expect(await client.readExactly(0)).toHaveLength(0)
  expect(String(await client.receive())).toBe('f')
})

test('readExactly() that meets the end tells what there is, and loses none of it', async () => {
  const { client, far } = await connect()
  far.send('abc')
  const reading = client.readExactly(5)
  far.sendEnd()

  await expect(reading).rejects.toMatchObject({
    code: 'connection-lost',
    bytesReceived: 3,
    expectedBytes: 5,
    message: 'Cannot read 5 bytes from a.test:7: the peer has closed the connection',
  })
  expect(String(await client.receive())).toBe('abc')
})

test('a broken connection gives what came before it, then its error, again and again', async () => {
  const { client, far } = await connect()
  far.send('abc')
  far.fail(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }))

  expect(String(await client.receive())).toBe('abc')
  for (const reading of [client.receive(), client.receive()]) {
    await expect(reading).rejects.toMatchObject({
      code: 'connection-lost',
      message: 'Cannot read from a.test:7: connection reset by peer',
      cause: { code: 'ECONNRESET' },
    })
  }
})

test('readUntil() gives the delimiter too, wherever it is cut', async () => {
  const bytes = 'first\r\n\r\nsecond\r\n\r\n'
  for (let cut = 0; cut <= bytes.length; cut++) {
    const { client, far } = await connect()
    const reading = client.readUntil('\r\n\r\n')
    far.send(bytes.slice(0, cut))
    far.send(bytes.slice(cut))
    far.sendEnd()

    expect(String(await reading)).toBe('first\r\n\r\n')
    expect(String(await client.readUntil(Buffer.from('\r\n\r\n')))).toBe('second\r\n\r\n')
    expect(await client.readUntil('\r\n\r\n')).toBeUndefined()
  }
})

test('readLine() takes LF and CRLF, empty lines, and undefined for the end', async () => {
  const { client, far } = await connect()
  far.send(Buffer.from('grüße\r\n\n\r\nlast\r\r\n'))
  far.sendEnd()

  const lines: (string | undefined)[] = []
  for (let index = 0; index < 5; index++) lines.push(await client.readLine())

  expect(lines).toEqual(['grüße', '', '', 'last\r', undefined])
})

test('readLine() reads by the encoding given', async () => {
  const { client, far } = await connect()
  far.send(Buffer.from([0xfc, 0x0a, 0xfc, 0x0a]))

  expect(await client.readLine({ encoding: 'latin1' })).toBe('ü')
  expect(await client.readLine()).toBe('\u{fffd}')
})

test('readLine() takes a line cut short by the end for no line', async () => {
  const { client, far } = await connect()
  far.send('whole\nhal')
  far.sendEnd()

  expect(await client.readLine()).toBe('whole')
  await expect(client.readLine()).rejects.toMatchObject({ bytesReceived: 3 })
  expect(String(await client.receive())).toBe('hal')
})

test.each([
  ['123456\n', 7, '123456'],
  ['1234567\n', 7, undefined],
  ['1234567', 7, undefined],
])('readLine() of %j keeps to a limit of %i bytes', async (bytes, limit, line) => {
  const { client, far } = await connect({ maxLineBytes: limit })
  far.send(bytes)

  const reading = client.readLine()

  if (line === undefined) {
    await expect(reading).rejects.toMatchObject({ code: 'remote-protocol' })
    expect(String(await client.receive())).toBe(bytes)
  } else {
    await expect(reading).resolves.toBe(line)
  }
})

test('a read may want more than is held without one', async () => {
  const { client, far } = await connect()
  const reading = client.readExactly(200_000)
  for (let index = 0; index < 20; index++) far.send(Buffer.alloc(10_000, index))

  const bytes = await reading

  expect(bytes).toHaveLength(200_000)
  expect([bytes[0], bytes[9_999], bytes[10_000], bytes[199_999]]).toEqual([0, 0, 1, 19])
})

test('what nobody reads is bounded: the peer has to wait', async () => {
  const { client, far } = await connect()
  for (let index = 0; index < 10; index++) far.send(Buffer.alloc(20_000))
  const paused = [far.paused]

  await client.readExactly(20_000)
  paused.push(far.paused)
  const rest = await client.readExactly(180_000)

  expect(paused).toEqual([true, true])
  expect(rest).toHaveLength(180_000)
  expect(far.paused).toBe(false)
})

test('a read is timed as a whole, and what had come is kept', async () => {
  const { client, far, clock } = await connect({ timeoutMs: 1000 })
  const reading = client.readLine()
  const outcome = expect(reading).rejects.toMatchObject({
    code: 'timeout',
    phase: 'body',
    timeoutMs: 1000,
    message: 'Cannot read a line from a.test:7: not done within 1000 ms',
  })
  far.send('dri')
  clock.advance(600)
  far.send('ps')
  clock.advance(400)
  await outcome

  far.send('.\n')

  expect(await client.readLine()).toBe('drips.')
  expect(clock.pending).toBe(0)
})

test('a read may have a limit of its own', async () => {
  const { client, clock } = await connect({ timeoutMs: 1000 })
  const outcome = expect(client.receive(1, { timeoutMs: 10 })).rejects.toMatchObject({
    timeoutMs: 10,
  })

  clock.advance(10)

  await outcome
})

test('a read is aborted with the reason itself, and what had come is kept', async () => {
  const { client, far, clock } = await connect()
  const abort = new AbortController()
  const reading = client.readExactly(3, { signal: abort.signal })
  far.send('ab')

  abort.abort('enough')

  await expect(reading).rejects.toBe('enough')
  await expect(client.receive(1, { signal: abort.signal })).rejects.toBe('enough')
  expect(String(await client.receive())).toBe('ab')
  expect(clock.pending).toBe(0)
  expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0)
})

test('a second read beside one that waits is refused', async () => {
  const { client, far } = await connect()
  const first = client.readLine()

  await expect(client.receive()).rejects.toThrow(
    new TypeError('Cannot read from a.test:7: another read is waiting'),
  )
  far.send('x\n')

  expect(await first).toBe('x')
})

test('reads refuse sizes that are none', async () => {
  const { client } = await connect()

  await expect(client.receive(0)).rejects.toThrow(RangeError)
  await expect(client.readExactly(-1)).rejects.toThrow(RangeError)
  await expect(client.readExactly(1.5)).rejects.toThrow(RangeError)
  await expect(client.readUntil('')).rejects.toThrow(RangeError)
  await expect(client.readLine({ limit: 0 })).rejects.toMatchObject({ option: 'limit' })
})

test('a loop gives what comes to the end, and may be left', async () => {
  const { client, far } = await connect()
  far.send('a')
  for await (const chunk of client) {
    expect(String(chunk)).toBe('a')
    break
  }
  expect(client.isConnected).toBe(true)

  far.send('b')
  far.send('c')
  far.sendEnd()

  expect((await chunksOf(client)).join('')).toBe('bc')
})

test('a loop of chunks() ends at an abort', async () => {
  const { client } = await connect()
  const abort = new AbortController()
  const next = client.chunks({ signal: abort.signal }).next()

  abort.abort('enough')

  await expect(next).rejects.toBe('enough')
})

test('what is read is the reader own memory', async () => {
  const { client, far } = await connect()
  far.send('aaaa')
  const first = await client.readExactly(2)

  first.fill(0)
  far.send('bbbb')

  expect(String(await client.readExactly(6))).toBe('aabbbb')
})

test('every cut of the bytes gives the same reads', async () => {
  const message = 'LINE one\r\n5 hello\nup to;rest of it all'
  const cuts = fc.array(fc.integer({ min: 0, max: message.length }), { maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(cuts, fc.boolean(), async (places, early) => {
      const { client, far } = await connect()
      const ends = [...places.toSorted((a, b) => a - b), message.length]
      const send = (): void => {
        ends.reduce((start, end) => {
          far.send(message.slice(start, end))
          return end
        }, 0)
        far.sendEnd()
      }
      if (early) send()
      const reading = (async () => [
        await client.readLine(),
        String(await client.readExactly(2)),
        await client.readLine(),
        String(await client.readUntil(';')),
        (await chunksOf(client)).join(''),
      ])()
      if (!early) send()

      expect(await reading).toEqual(['LINE one', '5 ', 'hello', 'up to;', 'rest of it all'])
    }),
    { numRuns: 200 },
  )
})

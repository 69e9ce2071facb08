/** What NetworkStream promises, as a suite that runs on any implementation. */
import { describe, expect, test } from 'vitest'
import type { NetworkStream, StreamReader } from '../net/network-backend.ts'

/** The other end of a stream. */
export interface FarSide {
  send(bytes: Buffer | string): void
  /** Sends no more, still reads. */
  end(): void
  /** Resets the connection; undefined where the transport knows no reset. */
  readonly reset: (() => void) | undefined
  received(): string
  /** The stream's side has said that it sends no more. */
  sawEnd(): boolean
  closed(): boolean
  /** Bytes that wait for the stream's side to read; undefined where nothing does. */
  waiting(): number | undefined
  /** Reads nothing from now on. */
  stall(): void
}

/** A stream and its far side; closes both. */
export interface Pair extends AsyncDisposable {
  readonly stream: NetworkStream
  readonly far: FarSide
}

/** What implementations may differ in. */
export interface ContractOptions {
  /** The code of the error that tells of a reset. */
  readonly resetCode?: string
}

/** Records what a stream brings. */
class RecordingReader implements StreamReader {
  readonly events: string[] = []
  readonly chunks: Buffer[] = []
  onChunk = (_bytes: Buffer): void => {}

  get received(): string {
    return Buffer.concat(this.chunks).toString('latin1')
  }

  get length(): number {
    return this.chunks.reduce((sum, { length }) => sum + length, 0)
  }

  onBytes(bytes: Buffer): void {
    this.chunks.push(Buffer.from(bytes))
    this.onChunk(bytes)
  }

  onEnd(): void {
    this.events.push('end')
  }

  onError(error: NodeJS.ErrnoException): void {
    this.events.push(`error ${error.code}`)
  }

  nextBuffer(): Buffer | undefined {
    return undefined
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn()
}

/** Enough turns for anything that is on its way over the loopback to arrive. */
async function turns(count = 100): Promise<void> {
  for (let turned = 0; turned < count; turned++) await turn()
}

/** Bytes of which each piece tells where it belongs. */
function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE(at, at)
  return bytes
}

/** Runs the suite on one implementation. */
export function describeNetworkStream(
  name: string,
  open: () => Promise<Pair>,
  { resetCode = 'ECONNRESET' }: ContractOptions = {},
): void {
  describe.each([name])('%s', () => {
    test('gives what comes, then the end, once', async () => {
      await using pair = await open()
      const reader = new RecordingReader()
      pair.stream.read(reader)

      pair.far.send('hello ')
      await until(() => reader.length === 6)
      pair.far.send('world')
      pair.far.end()
      await until(() => reader.events.length > 0)
      await turns()

      expect(reader.received).toBe('hello world')
      expect(reader.events).toEqual(['end'])
    })

    test('gives what came before anybody read, and the end', async () => {
      await using pair = await open()
      const reader = new RecordingReader()
      pair.far.send('early ')
      await turns()
      pair.far.send('bytes')
      pair.far.end()
      await turns()

      pair.stream.read(reader)
      await until(() => reader.events.length > 0)

      expect(reader.received).toBe('early bytes')
      expect(reader.events).toEqual(['end'])
    })

    test('lets a sender wait while nobody reads, and loses nothing', async () => {
      await using pair = await open()
      const reader = new RecordingReader()
      const sent = pattern(16 * 1_048_576)
      pair.far.send(sent)
      await turns(500)
      const waiting = pair.far.waiting()

      pair.stream.read(reader)
      await until(() => reader.length === sent.length)

      expect(waiting === undefined || waiting > 0).toBe(true)
      expect(Buffer.concat(reader.chunks).equals(sent)).toBe(true)
    })

    test('gives nothing during a pause, and held bytes one by one when each is paused at', async () => {
      await using pair = await open()
      const reader = new RecordingReader()
      reader.onChunk = () => pair.stream.pause()
      pair.far.send('two')
      await turns()
      pair.stream.unread(Buffer.from('one '))

      pair.stream.read(reader)
      await turns()
      expect(reader.received).toBe('one ')
      pair.stream.resume()
      await until(() => reader.length > 4)
      pair.far.send(' three')
      pair.far.end()
      await turns()
      expect(reader.received).toBe('one two')
      reader.onChunk = () => {}
      pair.stream.resume()
      await until(() => reader.events.length > 0)

      expect(reader.received).toBe('one two three')
      expect(reader.events).toEqual(['end'])
    })

    test('gives all bytes whole and in order under many pauses', async () => {
      await using pair = await open()
      const reader = new RecordingReader()
      const sent = pattern(4 * 1_048_576)
      let paused = false
      let overran = 0
      reader.onChunk = () => {
        if (paused) overran++
        if (reader.chunks.length % 3 !== 0) return
        paused = true
        pair.stream.pause()
        setImmediate(() => {
          paused = false
          pair.stream.resume()
        })
      }
      pair.stream.read(reader)

      for (let at = 0; at < sent.length; at += 50_000) pair.far.send(sent.subarray(at, at + 50_000))
      pair.far.end()
      await until(() => reader.events.length > 0)

      expect(overran).toBe(0)
      expect(Buffer.concat(reader.chunks).equals(sent)).toBe(true)
      expect(reader.events).toEqual(['end'])
    })

    test('unread() takes the reader off; the next one gets the bytes first', async () => {
      await using pair = await open()
      const [first, second] = [new RecordingReader(), new RecordingReader()]
      first.onChunk = (bytes) => pair.stream.unread(bytes.subarray(4))
      pair.stream.read(first)
      pair.far.send('headrest ')
      await until(() => first.length > 0)
      pair.far.send('of it')
      pair.far.end()
      await turns()

      pair.stream.read(second)
      await until(() => second.events.length > 0)

      expect(first.received).toBe('headrest ')
      expect(first.events).toEqual([])
      expect(second.received).toBe('rest of it')
      expect(second.events).toEqual(['end'])
    })

    test('read() hands over to another reader', async () => {
      await using pair = await open()
      const [first, second] = [new RecordingReader(), new RecordingReader()]
      pair.stream.read(first)
      pair.far.send('one')
      await until(() => first.length === 3)

      pair.stream.read(second)
      pair.far.send('two')
      pair.far.end()
      await until(() => second.events.length > 0)

      expect(first.received).toBe('one')
      expect(second.received).toBe('two')
      expect(first.events).toEqual([])
    })

    test('tells a break once, and also a reader that comes later', async () => {
      await using pair = await open()
      if (pair.far.reset === undefined) return
      const [first, second] = [new RecordingReader(), new RecordingReader()]
      pair.stream.read(first)

      pair.far.reset()
      await until(() => first.events.length > 0)
      await turns()
      pair.stream.read(second)

      expect(first.events).toEqual([`error ${resetCode}`])
      expect(second.events).toEqual([`error ${resetCode}`])
    })

    test('writes text one character a byte, bytes as they are, and tells each when flushed', async () => {
      await using pair = await open()
      pair.stream.read(new RecordingReader())
      const flushed: number[] = []

      pair.stream.write('\u00e9', () => flushed.push(1))
      pair.stream.write(Buffer.of(0, 255), () => flushed.push(2))
      expect(flushed).toEqual([])
      await until(() => flushed.length === 2 && pair.far.received().length === 3)
      await turns()

      expect(pair.far.received()).toBe('\u00e9\u0000\u00ff')
      expect(flushed).toEqual([1, 2])
    })

    test('tells of each write once when it is closed with writes under way, and after', async () => {
      await using pair = await open()
      pair.far.stall()
      pair.stream.read(new RecordingReader())
      const flushed: number[] = []
      for (let index = 0; index < 4; index++) {
        pair.stream.write(Buffer.alloc(8_388_608), () => flushed.push(index))
      }
      await turns()

      pair.stream.close()
      pair.stream.write('late', () => flushed.push(4))
      expect(flushed).not.toContain(4)
      await until(() => flushed.length >= 5)
      await turns()

      expect(flushed.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4])
    })

    test('tells of each write once when it breaks with writes under way, and after', async () => {
      await using pair = await open()
      if (pair.far.reset === undefined) return
      pair.far.stall()
      const reader = new RecordingReader()
      pair.stream.read(reader)
      const flushed: number[] = []
      for (let index = 0; index < 4; index++) {
        pair.stream.write(Buffer.alloc(8_388_608), () => flushed.push(index))
      }
      await turns()

      pair.far.reset()
      await until(() => reader.events.length > 0)
      pair.stream.write('late', () => flushed.push(4))
      await until(() => flushed.length >= 5)
      await turns()

      expect(flushed.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4])
      expect(reader.events).toHaveLength(1)
    })

    test('end() tells the peer and goes on reading; later writes are dropped', async () => {
      await using pair = await open()
      const reader = new RecordingReader()
      pair.stream.read(reader)
      const flushed: string[] = []

      pair.stream.write('last', () => flushed.push('last'))
      pair.stream.end()
      pair.stream.write('late', () => flushed.push('late'))
      await until(() => pair.far.sawEnd() && flushed.length === 2)
      pair.far.send('answer')
      pair.far.end()
      await until(() => reader.events.length > 0)

      expect(pair.far.received()).toBe('last')
      expect(reader.received).toBe('answer')
      expect(reader.events).toEqual(['end'])
    })

    test('close() is idempotent and silent, also in the middle of held bytes', async () => {
      await using pair = await open()
      const reader = new RecordingReader()
      pair.far.send('two')
      await turns()
      pair.stream.unread(Buffer.from('one'))
      reader.onChunk = () => pair.stream.close()

      pair.stream.read(reader)
      pair.stream.close()
      pair.far.send('three')
      await until(() => pair.far.closed() || pair.far.sawEnd())
      await turns()
      pair.stream.read(reader)

      expect(reader.received).toBe('one')
      expect(reader.events).toEqual([])
    })

    test('knows its peer', async () => {
      await using pair = await open()

      expect(pair.stream.getExtraInfo('peer')?.address).toEqual(expect.any(String))
      pair.stream.setIdle(true)
      pair.stream.setIdle(false)
    })
  })
}

import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { MemoryStream } from '../../net/memory-backend.ts'
import { MaskingTarget } from './masking-target.ts'
import { Sender } from './ws-frames.ts'

function open(): { stream: MemoryStream; target: MaskingTarget; sender: Sender; writes: number[] } {
  const writes: number[] = []
  const stream = new MemoryStream(() => writes.push(stream.written.length))
  const target = new MaskingTarget(stream)
  return { stream, target, sender: new Sender(target, {}), writes }
}

const WHOLE = { compress: false, fin: true, mask: false }

/** RFC 6455 §5.2 and §5.3 read back, one byte at a time. */
function unmask(written: string): { first: number; payload: Buffer }[] {
  const bytes = Buffer.from(written, 'latin1')
  const frames: { first: number; payload: Buffer }[] = []
  for (let at = 0; at < bytes.length;) {
    const first = bytes[at] as number
    const second = bytes[at + 1] as number
    expect(second & 0x80).toBe(0x80)
    const short = second & 0x7f
    const keyAt = at + (short === 127 ? 10 : short === 126 ? 4 : 2)
    const length =
      short === 127
        ? Number(bytes.readBigUInt64BE(at + 2))
        : short === 126
          ? bytes.readUInt16BE(at + 2)
          : short
    const payload = Buffer.from(bytes.subarray(keyAt + 4, keyAt + 4 + length))
    for (let index = 0; index < length; index++) {
      payload[index] = (payload[index] as number) ^ (bytes[keyAt + (index & 3)] as number)
    }
    frames.push({ first, payload })
    at = keyAt + 4 + length
  }
  return frames
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('MaskingTarget masks payloads of any length, wherever they come to lie', async () => {
  const { stream, sender } = open()
  const lengths = [
    0, 1, 2, 3, 4, 5, 63, 64, 65, 66, 67, 125, 126, 127, 1000, 65_535, 65_536, 131_100,
  ]
  const payloads = lengths.map((length) => randomBytes(length))

  for (const payload of payloads) sender.send(payload, { binary: true, ...WHOLE })
  await turn()

  const frames = unmask(stream.written)
  expect(frames.map(({ first }) => first)).toEqual(lengths.map(() => 0x82))
  expect(frames.every(({ payload }, index) => payload.equals(payloads[index] as Buffer))).toBe(true)
})

test('MaskingTarget sends text as UTF-8', async () => {
  const { stream, sender } = open()

  sender.send('grüße 👋', { binary: false, ...WHOLE })
  await turn()

  expect(unmask(stream.written)).toEqual([{ first: 0x81, payload: Buffer.from('grüße 👋') }])
})

test('MaskingTarget uses another key for each frame, also over thousands', async () => {
  const { stream, sender } = open()

  for (let index = 0; index < 5000; index++) sender.send('', { binary: false, ...WHOLE })
  await turn()

  const keys = stream.written.match(/.{6}/gs)?.map((frame) => frame.slice(2))
  expect(new Set(keys).size).toBeGreaterThan(4990)
})

test('MaskingTarget leaves the memory of the caller alone, and is done with it at once', async () => {
  const { stream, sender } = open()
  const bytes = Buffer.from('x'.repeat(100))

  sender.send(bytes, { binary: true, ...WHOLE })
  expect(bytes.toString()).toBe('x'.repeat(100))
  bytes.fill('y')
  await turn()

  expect(unmask(stream.written)[0]?.payload.toString()).toBe('x'.repeat(100))
})

test('MaskingTarget puts the frames of one turn into one write', async () => {
  const { sender, writes } = open()

  for (let index = 0; index < 100; index++) sender.send('hello', { binary: false, ...WHOLE })
  await turn()
  sender.send('again', { binary: false, ...WHOLE })
  await turn()

  expect(writes).toEqual([1100, 1111])
})

test('MaskingTarget counts what the peer does not take', async () => {
  const { stream, target, sender } = open()
  const told: string[] = []
  stream.stalled = true

  sender.send('hello', { binary: false, ...WHOLE }, () => told.push('sent'))
  target.onFlushed(() => told.push('flushed'))
  await turn()
  expect([target.pendingBytes, told]).toEqual([11, []])
  stream.flush()
  await turn()

  expect([target.pendingBytes, told]).toEqual([0, ['sent', 'flushed']])
})

test('MaskingTarget writes nothing after it was destroyed', async () => {
  const { stream, target, sender } = open()

  sender.send('hello', { binary: false, ...WHOLE })
  target.destroy()
  sender.send('hello', { binary: false, ...WHOLE })
  await turn()

  expect(stream.written).toBe('')
})

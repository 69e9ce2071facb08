import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cutFrames } from '../../testing/http2-frames.ts'
import { type FrameOutput, FrameWriter } from './frame-writer.ts'

const sizes = fc.oneof(
  fc.nat(200),
  fc.constantFrom(8191, 8192, 16_375, 16_384, 65_536, 126_000, 135_159, 135_160, 200_000),
)
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ type: fc.constant('data' as const), size: sizes }) },
    {
      weight: 2,
      arbitrary: fc.record({ type: fc.constant('fit' as const), less: fc.nat(10_000) }),
    },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('headers' as const), size: sizes }) },
    { weight: 6, arbitrary: fc.record({ type: fc.constant('take' as const) }) },
    // The system has sent so many of the writes, in their order.
    { weight: 4, arbitrary: fc.record({ type: fc.constant('flush' as const), writes: fc.nat(4) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('shrink' as const) }) },
  ),
  { maxLength: 40, size: 'max' },
)

interface Write extends FrameOutput {
  /** What the bytes were when they were taken. */
  readonly before: Buffer
}

describe('FrameWriter', () => {
  test('never writes over what the system has not sent, and loses nothing', () => {
    fc.assert(
      fc.property(steps, (sequence) => {
        const writer = new FrameWriter()
        const pending: Write[] = []
        const sent: Buffer[] = []
        const meant: number[] = []
        const flush = (count: number): void => {
          for (const { bytes, before, retired } of pending.splice(0, count)) {
            expect(bytes.equals(before)).toBe(true)
            sent.push(before)
            if (retired === undefined) continue
            // What it says is free is.
            retired.fill(0xee)
            writer.recycle(retired)
            for (const other of pending) expect(other.bytes.equals(other.before)).toBe(true)
          }
        }
        const data = (size: number): void => {
          writer.data(1, Buffer.alloc(size, meant.length % 200), false)
          meant.push(size)
        }

        for (const step of sequence) {
          if (step.type === 'data') data(step.size)
          else if (step.type === 'fit') data(Math.max(0, writer.room - 9 - step.less))
          else if (step.type === 'headers') {
            const block = Buffer.alloc(step.size, meant.length % 200)
            writer.headers(1, block, { endStream: false, maxFrameBytes: 16_384 })
            meant.push(step.size)
          } else if (step.type === 'flush') flush(step.writes)
          else if (step.type === 'shrink') writer.shrink()
          else {
            const output = writer.take()
            if (output !== undefined) pending.push({ ...output, before: Buffer.from(output.bytes) })
            expect(writer.length).toBe(0)
            expect(writer.room).toBeGreaterThanOrEqual(8192)
          }
        }
        const last = writer.take()
        if (last !== undefined) pending.push({ ...last, before: Buffer.from(last.bytes) })
        flush(pending.length)

        expect(messagesOf(Buffer.concat(sent))).toEqual(
          meant.map((size, index) => [size, size === 0 ? undefined : index % 200, true]),
        )
      }),
      { numRuns: 150 },
    )
  })
})

/** Of each DATA frame, and of each header block: its size, its first byte, whether all are the same. */
function messagesOf(bytes: Buffer): (readonly [number, number | undefined, boolean])[] {
  const messages: Buffer[] = []
  for (const { type, payload } of cutFrames(bytes)) {
    if (type === 9) messages.push(Buffer.concat([messages.pop() as Buffer, payload]))
    else messages.push(payload)
  }
  return messages.map((message) => [
    message.length,
    message[0],
    message.equals(Buffer.alloc(message.length, message[0])),
  ])
}

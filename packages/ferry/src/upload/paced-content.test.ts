import { expect, test } from 'vitest'
import { FakeClock } from '../testing/fake-clock.ts'
import { RateLimit } from '../transfer/rate-limit.ts'
import type { StreamedContent } from '../transport/content.ts'
import { paceContent } from './paced-content.ts'

const content = Buffer.alloc(100_000, 'x')

test('paceContent() gives the same bytes, as often, and tells of each slice before it goes', async () => {
  const told: number[] = []
  const paced = paceContent(content, {
    limit: new RateLimit(),
    clock: new FakeClock(),
    onSent: (bytes) => told.push(bytes),
  }) as StreamedContent

  for (const _ of [1, 2]) {
    const pieces: Uint8Array[] = []
    for await (const piece of paced.open()) {
      pieces.push(piece)
      expect(told.reduce((sum, bytes) => sum + bytes, 0)).toBeGreaterThanOrEqual(piece.length)
    }
    expect(Buffer.concat(pieces).equals(content)).toBe(true)
  }
  expect(paced.length).toBe(content.length)
  expect(told.reduce((sum, bytes) => sum + bytes, 0)).toBe(2 * content.length)
})

test('paceContent() waits as a limit says, and ends the wait when it is aborted', async () => {
  const clock = new FakeClock()
  const paced = paceContent(content, {
    limit: new RateLimit(100_000),
    clock,
    onSent: () => {},
  }) as StreamedContent
  const abort = new AbortController()
  const pieces = paced.open(abort.signal)[Symbol.asyncIterator]()

  const first = await pieces.next()
  expect((first.value as Uint8Array).length).toBe(5000)
  const second = pieces.next()
  await expect.poll(() => clock.pending).toBe(1)
  clock.advance(50)
  expect((await second).done).toBe(false)

  const third = pieces.next()
  await expect.poll(() => clock.pending).toBe(1)
  abort.abort(new Error('enough'))
  await expect(third).rejects.toThrow('enough')
  expect(clock.pending).toBe(0)
})

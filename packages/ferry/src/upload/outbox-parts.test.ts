import { expect, test } from 'vitest'
import { cutParts } from './outbox-parts.ts'

test('cutParts() gives nothing of what was cut short by an abort as if it were the rest', async () => {
  const abort = new AbortController()
  const reason = new Error('enough')
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(Buffer.alloc(15)),
    pull: () => abort.abort(reason),
  })
  const lengths: number[] = []

  const cutting = (async () => {
    for await (const part of cutParts(stream, { partBytes: 10, signal: abort.signal })) {
      lengths.push(part.length)
    }
  })()

  await expect(cutting).rejects.toBe(reason)
  expect(lengths.filter((length) => length !== 10)).toEqual([])
})

test('cutParts() takes the memory that it is given', async () => {
  const given: ArrayBuffer[] = []
  const takeMemory = (): ArrayBuffer => {
    given.push(new ArrayBuffer(16))
    return given.at(-1) as ArrayBuffer
  }

  const parts = []
  const options = { partBytes: 10, signal: undefined, takeMemory }
  for await (const part of cutParts([Buffer.alloc(25)], options)) parts.push(part)

  expect(parts.map(({ length }) => length)).toEqual([10, 10, 5])
  expect(parts.map(({ buffer }) => buffer)).toEqual(given)
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { StreamError } from '../errors.ts'
import { createCollector } from './content-collector.ts'

const MIB = 1_048_576

/** Brings content as a socket does: into the memory that is offered where `offered` says so. */
function collect(
  content: Buffer,
  length: number | undefined,
  pieces: readonly (readonly [bytes: number, offered: boolean])[],
): Buffer {
  const collector = createCollector(length, Number.POSITIVE_INFINITY)
  let at = 0
  for (const [bytes, offered] of [...pieces, [content.length, false] as const]) {
    const window = offered ? collector.buffer?.() : undefined
    const end = Math.min(content.length, at + Math.min(bytes, window?.length ?? bytes))
    const piece = content.subarray(at, end)
    if (window === undefined) {
      const shared = Buffer.from(piece)
      collector.write(shared)
      shared.fill(0xee)
    } else {
      piece.copy(window)
      collector.write(window.subarray(0, piece.length))
    }
    at = end
  }
  return collector.take()
}

test('a collector gives the content whole, however it comes', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.boolean(),
      fc.array(fc.tuple(fc.nat({ max: 100 }), fc.boolean())),
      (bytes, known, pieces) => {
        const content = Buffer.from(bytes)
        const result = collect(content, known ? content.length : undefined, pieces)
        expect(result.equals(content)).toBe(true)
      },
    ),
  )
})

test('a collector of known length offers exactly the place of what is missing', () => {
  const collector = createCollector(10, 100)
  collector.write(Buffer.from('abc'))

  expect(collector.buffer?.()).toHaveLength(7)
  collector.write(Buffer.from('defghij'))
  expect(collector.buffer?.()).toBeUndefined()
  expect(collector.take().toString()).toBe('abcdefghij')
})

test('a collector gives nothing where a length was announced for HEAD', () => {
  expect(createCollector(10, 100).take()).toHaveLength(0)
})

test('a collector does not believe a large length', () => {
  const collector = createCollector(MIB + 1, Number.POSITIVE_INFINITY)

  expect(collector).not.toHaveProperty('buffer')
  expect(collector.take()).toHaveLength(0)
})

test('a collector refuses more than it may hold', () => {
  for (const length of [undefined, 11, 2 * MIB]) {
    const collector = createCollector(length, 10)
    collector.write(Buffer.alloc(10))
    expect(() => collector.write(Buffer.alloc(1))).toThrow(StreamError)
  }
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HpackDecoder } from './hpack-decoder.ts'
import { HpackEncoder } from './hpack-encoder.ts'
import { HpackError } from './hpack-error.ts'
import type { HpackField } from './hpack-field.ts'

type Line = readonly [name: string, value: string]

const OUR_TABLE_BYTES = 4096

// Few names and values, so that they meet again; some of them large, so that they evict.
const names = fc.constantFrom(
  ...[':method', ':path', ':status', 'accept', 'cookie', 'authorization', 'etag', 'server'],
  ...['a', 'bb', 'x-custom', 'n'.repeat(200)],
)
const values = fc.oneof(
  fc.constantFrom('', 'GET', '/', '200', 'a', 'gzip, deflate', 'v'.repeat(25), 'w'.repeat(1500)),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
)
const lists = fc.array(fc.tuple(names, values), { maxLength: 12 })
const tableSizes = fc.array(
  fc.constantFrom(0, 31, 33, 60, 100, 500, 2000, OUR_TABLE_BYTES, 100_000),
  { maxLength: 3 },
)

function encode(encoder: HpackEncoder, lines: readonly Line[]): Buffer {
  encoder.begin()
  for (const [name, value] of lines) encoder.add(name, value)
  return Buffer.from(encoder.end())
}

function sizeOf(lines: readonly Line[]): number {
  return lines.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0)
}

/** The fields of a block; what was decoded before a refusal stays in `into`. */
function decode(decoder: HpackDecoder, block: Buffer, into: HpackField[] = []): Line[] {
  const listBytes = decoder.decode(block, into, Infinity)
  const lines = into.map(({ name, value }): Line => [name, value])
  expect(listBytes).toBe(sizeOf(lines))
  return lines
}

describe('an encoder and a decoder', () => {
  test('agree on every list and on the table, however its size changes', () => {
    const steps = fc.array(fc.record({ sizes: tableSizes, lines: lists }), { maxLength: 12 })
    fc.assert(
      fc.property(steps, (sequence) => {
        const encoder = new HpackEncoder()
        const decoder = new HpackDecoder({ maxTableBytes: 100_000 })
        let limitBytes = OUR_TABLE_BYTES

        for (const { sizes, lines } of sequence) {
          for (const bytes of sizes) encoder.setMaxTableBytes(bytes)
          limitBytes = Math.min(sizes.at(-1) ?? limitBytes, OUR_TABLE_BYTES)

          expect(decode(decoder, encode(encoder, lines))).toEqual(lines)

          expect(encoder.tableBytes).toBeLessThanOrEqual(limitBytes)
          expect(encoder.tableBytes).toBe(decoder.tableBytes)
          expect(encoder.tableLength).toBe(decoder.tableLength)
        }
        // Entry by entry: each stands where the encoder believes it to stand.
        const entries = Array.from({ length: decoder.tableLength }, (_, age) => age).flatMap(
          (age) => decode(decoder, indexed(62 + age)),
        )
        encoder.begin()
        for (const [name, value] of entries) encoder.add(name, value)
        expect(Buffer.from(encoder.end())).toEqual(
          Buffer.concat(entries.map((_, age) => indexed(62 + age))),
        )
      }),
    )
  })

  test('agree when the decoder drops what is beyond its limit', () => {
    const steps = fc.array(fc.record({ lines: lists, limit: fc.nat(3000) }), { maxLength: 12 })
    fc.assert(
      fc.property(steps, (sequence) => {
        const encoder = new HpackEncoder()
        const decoder = new HpackDecoder()

        for (const { lines, limit } of sequence) {
          const fields: HpackField[] = []
          const listBytes = decoder.decode(encode(encoder, lines), fields, limit)

          const kept = lines.filter((_, index) => sizeOf(lines.slice(0, index + 1)) <= limit)
          expect(fields.map(({ name, value }) => [name, value])).toEqual(kept)
          expect(listBytes).toBe(sizeOf(lines))
          expect(decoder.tableBytes).toBe(encoder.tableBytes)
        }
      }),
    )
  })

  test('agree on a prefix of the list when the block is cut off', () => {
    fc.assert(
      fc.property(lists, lists, (before, lines) => {
        const encoder = new HpackEncoder()
        const first = encode(encoder, before)
        const block = encode(encoder, lines)

        for (let end = 0; end <= block.length; end++) {
          const decoder = new HpackDecoder()
          decode(decoder, first)
          const fields: HpackField[] = []
          const refused = refuses(() => decode(decoder, block.subarray(0, end), fields))

          expect(fields.map(({ name, value }) => [name, value])).toEqual(
            lines.slice(0, fields.length),
          )
          if (end === block.length) expect([refused, fields.length]).toEqual([false, lines.length])
        }
      }),
      { numRuns: 30 },
    )
  })
})

test('HpackDecoder takes any bytes or refuses them with HpackError', () => {
  const blocks = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      // Such as begin well.
      fc
        .tuple(fc.constantFrom('82', '400161', '3fe11f', '41', '7e', '0f10', '00'), fc.uint8Array())
        .map(([start, rest]) => Buffer.concat([Buffer.from(start, 'hex'), rest])),
    ),
    { maxLength: 8 },
  )
  fc.assert(
    fc.property(blocks, (sequence) => {
      const decoder = new HpackDecoder()
      refuses(() => {
        for (const block of sequence) decode(decoder, Buffer.from(block))
      })
      expect(decoder.tableBytes).toBeLessThanOrEqual(4096)
    }),
    { numRuns: 2000 },
  )
})

/** An index of a field (RFC 7541 §6.1). */
function indexed(index: number): Buffer {
  return index < 0x7f ? Buffer.of(0x80 | index) : Buffer.of(0xff, index - 0x7f)
}

/** Whether it is refused in the one way that there is. */
function refuses(run: () => void): boolean {
  try {
    run()
    return false
  } catch (error) {
    if (!(error instanceof HpackError)) throw error
    return true
  }
}

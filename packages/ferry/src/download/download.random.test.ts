import { randomBytes, randomInt } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isFerryError } from '../errors.ts'
import { DownloadFixture } from '../testing/download-fixture.ts'
import type { Fault } from '../testing/fault-server-answer.ts'

const SIZE = 1_500_000
const VERSIONS = [randomBytes(SIZE), randomBytes(SIZE), randomBytes(SIZE + 1000)] as const

const bytes = fc.oneof(fc.constant(0), fc.nat(SIZE))
const fault: fc.Arbitrary<Fault | undefined> = fc.oneof(
  { weight: 4, arbitrary: fc.constant(undefined) },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constantFrom('reset', 'end', 'short'), afterBytes: bytes }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('stall'), afterBytes: bytes }) },
  { weight: 1, arbitrary: fc.constant({ type: 'drop' }) },
  { weight: 1, arbitrary: fc.constant({ type: 'whole' }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('status'),
      status: fc.constantFrom(503, 429, 500, 416),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('shift'), by: fc.integer({ min: -9, max: 9 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('surplus'), bytes: fc.integer({ min: 1, max: 99 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ type: 'content-range', value: 'bytes 0-99/1500000' }) },
)

const script = fc.record({
  /** Of the answers, in order; those behind them are honest. */
  faults: fc.array(fault, { maxLength: 10 }),
  /** The version that is there from that request on. */
  changes: fc.array(fc.record({ at: fc.integer({ min: 1, max: 8 }), version: fc.nat(2) }), {
    maxLength: 2,
  }),
  /** Where the run is aborted and begun again. */
  abortsAt: fc.array(fc.nat(SIZE), { maxLength: 2 }),
  etag: fc.boolean(),
  chunked: fc.boolean(),
  ranges: fc.constantFrom('honoured' as const, 'honoured' as const, 'ignored' as const),
  ifRange: fc.constantFrom(
    'honoured' as const,
    'honoured' as const,
    'refused' as const,
    'unknown' as const,
  ),
  maxConnections: fc.integer({ min: 1, max: 4 }),
  bytesPerSecond: fc.constantFrom(20_000_000, 60_000_000),
})

test('download() never publishes a wrong byte, whatever goes wrong', async () => {
  const seed = Number(process.env['FERRY_SEED'] ?? randomInt(2 ** 31))
  let completed = 0
  await fc.assert(
    fc.asyncProperty(script, async ({ faults, changes, abortsAt, ...settings }) => {
      const { etag, chunked, ranges, ifRange, maxConnections, bytesPerSecond } = settings
      const label = (version: number): string | undefined => (etag ? `"v${version}"` : undefined)
      await using fixture = await DownloadFixture.start(
        {
          content: VERSIONS[0],
          etag: label(0),
          chunked,
          ranges,
          ifRange,
          bytesPerSecond,
          fault: ({ index, range }) => {
            const change = changes.find(({ at }) => at === index)
            const content = change === undefined ? undefined : VERSIONS[change.version]
            if (change !== undefined && content !== undefined) {
              Object.assign(fixture.server.options, { content, etag: label(change.version) })
            }
            const given = faults[index]
            if (given?.type === 'surplus' && range === undefined) return undefined
            // Nobody can tell when the first answer, of unknown length, ends by the rules but early.
            return given?.type === 'short' && range === undefined ? undefined : given
          },
        },
        { bodyTimeoutMs: 100 },
      )
      for (const bytes of abortsAt) {
        await fixture.runUntil(bytes, { maxConnections }).catch((error: unknown) => {
          if (!isFerryError(error)) throw error
        })
      }
      const hasFile = (await fixture.names()).includes('file.bin')
      const run = fixture.start({
        maxConnections,
        maxRetries: 3,
        onExists: hasFile ? 'overwrite' : 'fail',
      })
      const error = await run.result.then(
        () => undefined,
        (caught: unknown) => caught,
      )

      const names = await fixture.names()
      if (names.includes('file.bin')) {
        const content = await fixture.content()
        expect(VERSIONS.some((version) => version.equals(content))).toBe(true)
      }
      if (error !== undefined) {
        expect(error).toSatisfy(isFerryError)
        return
      }
      completed++
      expect(names).toEqual(['file.bin'])
    }),
    { numRuns: 60, seed, endOnFailure: true },
  )
  // Else the test would show nothing.
  expect(completed, `seed ${seed}`).toBeGreaterThan(10)
})

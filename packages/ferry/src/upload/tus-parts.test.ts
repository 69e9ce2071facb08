import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HttpUrl } from '../transport/http-url.ts'
import { planParts, readTusNote, writeTusNote } from './tus-parts.ts'

const MIB = 1_048_576

test('planParts() covers every byte once, in order', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1e12 }),
      fc.integer({ min: 1, max: 64 }),
      (size, count) => {
        const parts = planParts(size, count)

        let end = 0
        for (const part of parts) {
          expect(part).toMatchObject({ start: end, offset: end, url: undefined })
          end = part.end as number
          expect(end > part.start || parts.length === 1).toBe(true)
        }
        expect(end).toBe(size)
        expect(parts.length).toBeLessThanOrEqual(count)
      },
    ),
  )
})

test.each([
  [8 * MIB, 4, 4],
  [3 * MIB, 4, 3],
  [MIB, 4, 1],
  [0, 4, 1],
])('planParts() makes of %i bytes in %i lanes %i parts', (size, lanes, count) => {
  expect(planParts(size, lanes).length).toBe(count)
})

test('planParts() makes one part of what has no size yet', () => {
  expect(planParts(undefined, 4)).toMatchObject([{ start: 0, end: undefined }])
})

test('readTusNote() reads what writeTusNote() wrote, as of an earlier run', () => {
  const parts = planParts(4 * MIB, 2)
  for (const [at, part] of parts.entries()) part.url = HttpUrl.parse(`http://h/${at}`)
  const note = JSON.parse(JSON.stringify(writeTusNote(parts, true))) as Record<string, unknown>

  const read = readTusNote(note, 4 * MIB)

  expect(read?.isJoining).toBe(true)
  expect(read?.parts.map(({ url, start, end }) => [url?.href, start, end])).toEqual([
    ['http://h/0', 0, 2 * MIB],
    ['http://h/1', 2 * MIB, 4 * MIB],
  ])
  // What has been sent of them has to be asked for.
  expect(read?.parts.map(({ sentTo }) => sentTo)).toEqual([undefined, undefined])
})

test('readTusNote() knows which part was never created', () => {
  const read = readTusNote(writeTusNote(planParts(2 * MIB, 2), false), 2 * MIB)

  expect(read?.parts).toMatchObject([
    { url: undefined, sentTo: 0 },
    { url: undefined, sentTo: MIB },
  ])
})

test.each<[string, Record<string, unknown> | undefined, number | undefined]>([
  ['nothing', undefined, 5],
  ['another protocol', { url: 'http://h/1' }, 5],
  ['no part', { parts: [] }, 5],
  ['another size', { parts: [{ url: 'http://h/1', start: 0, end: 4 }] }, 5],
  [
    'a gap',
    {
      parts: [
        { start: 0, end: 2 },
        { start: 3, end: 5 },
      ],
    },
    5,
  ],
  ['a part that begins late', { parts: [{ start: 1, end: 5 }] }, 5],
  ['an end that is none', { parts: [{ start: 0, end: '5' }] }, 5],
])('readTusNote() does not use a note of %s', (_, note, size) => {
  expect(readTusNote(note, size)).toBeUndefined()
})

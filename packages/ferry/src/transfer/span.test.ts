import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Span, SpanSet } from './span.ts'

const SIZE = 24
const span = fc.tuple(fc.nat(SIZE), fc.nat(SIZE)).map(([start, end]): Span => ({ start, end }))
const change = fc.record({ type: fc.constantFrom('add' as const, 'remove' as const), span })

/** A set built by changes, beside the naive one: a boolean for each byte. */
function build(changes: readonly { type: 'add' | 'remove'; span: Span }[]): [SpanSet, boolean[]] {
  const set = new SpanSet()
  const model = Array.from({ length: SIZE }, () => false)
  for (const { type, span: one } of changes) {
    set[type](one)
    for (let at = one.start; at < one.end; at++) model[at] = type === 'add'
  }
  return [set, model]
}

function toBytes(spans: Iterable<Span>): boolean[] {
  const bytes = Array.from({ length: SIZE }, () => false)
  for (const { start, end } of spans) for (let at = start; at < end; at++) bytes[at] = true
  return bytes
}

test('SpanSet holds what a boolean for each byte would', () => {
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const [set, model] = build(changes)

      expect(toBytes(set)).toEqual(model)
      expect(set.bytes).toBe(model.filter(Boolean).length)
    }),
  )
})

test('SpanSet keeps as few spans as it takes: sorted, apart, none empty', () => {
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const [set] = build(changes)
      const spans = [...set]

      expect(spans).toHaveLength(set.count)
      for (const { start, end } of spans) expect(start).toBeLessThan(end)
      spans
        .slice(1)
        .forEach(({ start }, index) => expect(start).toBeGreaterThan(spans[index]?.end ?? 0))
    }),
  )
})

test('SpanSet.covers() tells whether every byte of a span is in', () => {
  fc.assert(
    fc.property(fc.array(change), span, (changes, asked) => {
      const [set, model] = build(changes)

      expect(set.covers(asked)).toBe(model.slice(asked.start, asked.end).every(Boolean))
    }),
  )
})

test('SpanSet.gapsWithin() gives what is missing, in order', () => {
  fc.assert(
    fc.property(fc.array(change), span, (changes, within) => {
      const [set, model] = build(changes)
      const missing = model.map((has, at) => !has && at >= within.start && at < within.end)

      const gaps = set.gapsWithin(within)

      expect(toBytes(gaps)).toEqual(missing)
      expect([...new SpanSet(gaps)]).toEqual(gaps)
    }),
  )
})

test('SpanSet.copy() changes by itself', () => {
  const set = new SpanSet([{ start: 0, end: 5 }])
  const copy = set.copy()

  copy.add({ start: 5, end: 9 })
  set.remove({ start: 0, end: 2 })

  expect(JSON.stringify([set, copy])).toBe('[[[2,5]],[[0,9]]]')
})

test('SpanSet takes spans without an end', () => {
  const set = new SpanSet([{ start: 0, end: Number.POSITIVE_INFINITY }])

  expect(set.bytes).toBe(Number.POSITIVE_INFINITY)

  set.remove({ start: 10, end: Number.POSITIVE_INFINITY })

  expect([...set]).toEqual([{ start: 0, end: 10 }])
  expect(set.bytes).toBe(10)
})

test('SpanSet tells the first gap, and how far it reaches to both sides of a place', () => {
  fc.assert(
    fc.property(fc.array(change), span, (changes, within) => {
      const [set, model] = build(changes)
      const { start: at } = within
      let end = at
      while (model[end] === true) end++
      let start = at
      while (model[start - 1] === true) start--

      expect(set.firstGap(within)).toEqual(set.gapsWithin(within)[0])
      expect(set.endFrom(at)).toBe(end)
      expect(set.startBefore(at)).toBe(start)
    }),
  )
})

test('SpanSet takes 20,000 spans in any order', () => {
  const set = new SpanSet()
  const count = 20_000

  for (let index = 0; index < count; index++) {
    const start = ((index * 7919) % count) * 10
    set.add({ start, end: start + 5 })
  }

  expect([set.count, set.bytes]).toEqual([count, 5 * count])
  expect(set.firstGap({ start: 20, end: 40 })).toEqual({ start: 25, end: 30 })
})

/** Slices of a representation, and sets of them: bytes from `start` up to, not including, `end`. */

/** A slice; `end` is exclusive. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** A set of bytes kept as few spans: sorted, apart from each other, none empty. */
export class SpanSet implements Iterable<Span> {
  #spans: Span[] = []

  constructor(spans: Iterable<Span> = []) {
    for (const span of spans) this.add(span)
  }

  /** How many bytes are in the set. */
  get bytes(): number {
    return this.#spans.reduce((sum, { start, end }) => sum + end - start, 0)
  }

  /** How many spans it takes. */
  get count(): number {
    return this.#spans.length
  }

  add(span: Span): void {
    if (span.start >= span.end) return
    // Transfers grow spans at their end, so most additions touch one span only.
    const before = this.#spans.filter(({ end }) => end < span.start)
    const after = this.#spans.filter(({ start }) => start > span.end)
    const touched = this.#spans.slice(before.length, this.#spans.length - after.length)
    const start = Math.min(span.start, ...touched.map((one) => one.start))
    const end = Math.max(span.end, ...touched.map((one) => one.end))
    this.#spans = [...before, { start, end }, ...after]
  }

  remove(span: Span): void {
    if (span.start >= span.end) return
    this.#spans = this.#spans.flatMap((one) => {
      const left = { start: one.start, end: Math.min(one.end, span.start) }
      const right = { start: Math.max(one.start, span.end), end: one.end }
      return [left, right].filter(({ start, end }) => start < end)
    })
  }

  /** Whether every byte of the span is in the set. */
  covers(span: Span): boolean {
    return (
      span.start >= span.end ||
      this.#spans.some(({ start, end }) => start <= span.start && span.end <= end)
    )
  }

  /** What is missing within a span, in order. */
  gapsWithin(within: Span): Span[] {
    const gaps: Span[] = []
    let cursor = within.start
    for (const { start, end } of this.#spans) {
      if (start >= within.end) break
      if (start > cursor) gaps.push({ start: cursor, end: start })
      cursor = Math.max(cursor, end)
    }
    if (cursor < within.end) gaps.push({ start: cursor, end: within.end })
    return gaps
  }

  /** A copy that changes by itself. */
  copy(): SpanSet {
    const copy = new SpanSet()
    copy.#spans = [...this.#spans]
    return copy
  }

  [Symbol.iterator](): Iterator<Span> {
    return this.#spans[Symbol.iterator]()
  }

  toJSON(): [start: number, end: number][] {
    return this.#spans.map(({ start, end }) => [start, end])
  }
}

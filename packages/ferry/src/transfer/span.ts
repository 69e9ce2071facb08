/** Slices of a representation, and sets of them: bytes from `start` up to, not including, `end`. */

/** A slice; `end` is exclusive. */
export interface Span {
  readonly start: number
  readonly end: number
}

/**
 * A set of bytes kept as few spans: sorted, apart from each other, none empty. To find a place takes
 * steps that grow with the logarithm of their number; a span more or less moves those behind it.
 */
export class SpanSet implements Iterable<Span> {
  #spans: Span[] = []
  #bytes = 0

  constructor(spans: Iterable<Span> = []) {
    for (const span of spans) this.add(span)
  }

  /** How many bytes are in the set. */
  get bytes(): number {
    return this.#bytes
  }

  /** How many spans it takes. */
  get count(): number {
    return this.#spans.length
  }

  add(span: Span): void {
    if (span.start >= span.end) return
    // Those that it touches, even at a border, become one with it.
    const from = this.#indexOfEnd(span.start)
    let { start, end } = span
    let to = from
    let touched = this.#spans[to]
    while (touched !== undefined && touched.start <= span.end) {
      start = Math.min(start, touched.start)
      end = Math.max(end, touched.end)
      touched = this.#spans[++to]
    }
    this.#replace(from, to, [{ start, end }])
  }

  remove(span: Span): void {
    if (span.start >= span.end) return
    const from = this.#indexOfEnd(span.start + 1)
    const rest: Span[] = []
    let to = from
    let touched = this.#spans[to]
    while (touched !== undefined && touched.start < span.end) {
      if (touched.start < span.start) rest.push({ start: touched.start, end: span.start })
      if (touched.end > span.end) rest.push({ start: span.end, end: touched.end })
      touched = this.#spans[++to]
    }
    this.#replace(from, to, rest)
  }

  /** Whether every byte of the span is in the set. */
  covers(span: Span): boolean {
    if (span.start >= span.end) return true
    const found = this.#spans[this.#indexOfEnd(span.start + 1)]
    return found !== undefined && found.start <= span.start && span.end <= found.end
  }

  /** What is missing within a span, in order. */
  gapsWithin(within: Span): Span[] {
    return [...this.#gaps(within)]
  }

  /** The first of what is missing within a span. */
  firstGap(within: Span): Span | undefined {
    const first = this.#gaps(within).next()
    return first.done === true ? undefined : first.value
  }

  /** How far the set reaches without a gap from `at`; `at` itself when that byte is missing. */
  endFrom(at: number): number {
    const found = this.#spans[this.#indexOfEnd(at + 1)]
    return found !== undefined && found.start <= at ? found.end : at
  }

  /** From where the set reaches up to `at` without a gap; `at` itself when the byte before is missing. */
  startBefore(at: number): number {
    const found = this.#spans[this.#indexOfEnd(at)]
    return found !== undefined && found.start < at ? found.start : at
  }

  /** A copy that changes by itself. */
  copy(): SpanSet {
    const copy = new SpanSet()
    copy.#spans = [...this.#spans]
    copy.#bytes = this.#bytes
    return copy
  }

  [Symbol.iterator](): Iterator<Span> {
    return this.#spans[Symbol.iterator]()
  }

  toJSON(): [start: number, end: number][] {
    return this.#spans.map(({ start, end }) => [start, end])
  }

  *#gaps(within: Span): Generator<Span, void> {
    let cursor = within.start
    let index = this.#indexOfEnd(within.start + 1)
    for (;;) {
      const span = this.#spans[index++]
      if (span === undefined || span.start >= within.end) break
      if (span.start > cursor) yield { start: cursor, end: span.start }
      cursor = Math.max(cursor, span.end)
    }
    if (cursor < within.end) yield { start: cursor, end: within.end }
  }

  /** Index of the first span that ends at `end` or behind it; the count when there is none. */
  #indexOfEnd(end: number): number {
    let low = 0
    let high = this.#spans.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#spans[middle] as Span).end < end) low = middle + 1
      else high = middle
    }
    return low
  }

  #replace(from: number, to: number, by: readonly Span[]): void {
    const removed = this.#spans.slice(from, to)
    // A span that grows keeps its place, which is the usual case.
    if (by.length === 1 && removed.length === 1) this.#spans[from] = by[0] as Span
    else this.#spans.splice(from, removed.length, ...by)
    const change = sum(by) - sum(removed)
    // A span without an end counts as infinitely many bytes while it is there.
    this.#bytes = Number.isFinite(change) ? this.#bytes + change : sum(this.#spans)
  }
}

function sum(spans: readonly Span[]): number {
  let bytes = 0
  for (const { start, end } of spans) bytes += end - start
  return bytes
}

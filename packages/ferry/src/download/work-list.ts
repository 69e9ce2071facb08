/**
 * Which bytes are fetched, which are being fetched, and by whom: hands out spans to free connections
 * and takes back what they could not bring. Decides by planner.ts; knows nothing of requests.
 *
 * Every byte belongs to one connection at most, but for hedges: those fetch the rest of another's span
 * once more, own nothing, and inherit that rest when the other fails.
 */
import { type Span, SpanSet } from '../transfer/span.ts'
import { type Expectation, type Plan, planNextSpan } from './planner.ts'
import { cursorOf, toClaim, type Worker } from './worker.ts'

const EVERYTHING: Span = { start: 0, end: Number.POSITIVE_INFINITY }

/** Work for a free connection. */
export interface Assignment {
  readonly span: Span
  /** Whose rest it is, when it is fetched once more. */
  readonly hedged: Worker | undefined
}

/** The work on one version of a file. */
export class WorkList {
  readonly workers: Map<number, Worker> = new Map()
  /** Fetched or being fetched. */
  #assigned: SpanSet
  #size: number | undefined

  /** @param fetched what is there already */
  constructor(size: number | undefined, fetched: SpanSet) {
    this.#size = size
    this.#assigned = fetched.copy()
  }

  /** Bytes that are there. */
  get heldBytes(): number {
    let bytes = this.#assigned.bytes
    for (const worker of this.workers.values()) {
      if (worker.hedged === undefined) bytes -= worker.end - cursorOf(worker)
    }
    return bytes
  }

  /** Every byte is fetched or being fetched. */
  get isAllAssigned(): boolean {
    if (this.#size === undefined) return this.#assigned.count > 0
    return this.#assigned.covers({ start: 0, end: this.#size })
  }

  /** How many bytes no connection has brought yet; undefined when not known. */
  get remainingBytes(): number | undefined {
    return this.#size === undefined ? undefined : this.#size - this.heldBytes
  }

  /** Takes over the size, which the first response has told: that connection has the whole file. */
  setSize(size: number): void {
    this.#size = size
    this.#assigned = new SpanSet([{ start: 0, end: size }])
    for (const worker of this.workers.values()) worker.end = size
  }

  /** Nothing that was fetched counts any longer. */
  forget(): void {
    this.#size = undefined
    this.#assigned = new SpanSet()
  }

  /** A span that was fetched has turned out to be wrong. */
  reject(span: Span): void {
    this.#assigned.remove(span)
  }

  /**
   * Finds work for a free connection and marks it as assigned; undefined when there is none.
   * @param onReplace is told of a connection that has to stop, since its rest is handed on
   */
  claim(
    options: Expectation & {
      readonly now: number
      readonly onReplace: (worker: Worker) => void
    },
  ): Assignment | undefined {
    if (this.#size === undefined) return this.#claimEverything()
    const plan = this.#plan(this.#size, options)
    switch (plan.type) {
      case 'none':
        return undefined
      case 'take':
        this.#assigned.add(plan.span)
        return { span: plan.span, hedged: undefined }
      case 'split': {
        const victim = this.workers.get(plan.claimId) as Worker
        const span = { start: plan.at, end: victim.end }
        victim.end = plan.at
        victim.writer?.setEnd(plan.at)
        return { span, hedged: undefined }
      }
      case 'replace': {
        const victim = this.workers.get(plan.claimId) as Worker
        this.#disown(victim)
        options.onReplace(victim)
        return { span: plan.span, hedged: undefined }
      }
      case 'hedge':
        return { span: plan.span, hedged: this.workers.get(plan.claimId) }
    }
  }

  #claimEverything(): Assignment | undefined {
    if (this.#assigned.count > 0) return undefined
    this.#assigned.add(EVERYTHING)
    return { span: EVERYTHING, hedged: undefined }
  }

  #plan(size: number, options: Expectation & { readonly now: number }): Plan {
    const hedged = new Set([...this.workers.values()].map((worker) => worker.hedged?.id))
    // What is to be read to its end anyway is not split, and who fetches once more owns nothing.
    const claims = [...this.workers.values()]
      .filter((worker) => !worker.unproven && worker.hedged === undefined)
      .map((worker) => toClaim(worker, options.now, hedged.has(worker.id)))
    return planNextSpan(size, this.#assigned, claims, options)
  }

  /** A worker whose span no response can bring to an end wants all that follows as well. */
  extend(worker: Worker, end: number): void {
    worker.end = end
    this.#assigned.add({ start: worker.start, end })
  }

  /**
   * Gives back what a connection has not fetched. Whoever fetches it too owns it then; else a neighbour
   * whose response reaches over it takes it: it was cut off from there.
   * @returns whom this has made superfluous: another that was to bring the same bytes
   */
  release(worker: Worker): Worker | undefined {
    const start = placeOf(worker)
    const { end, hedged } = worker
    const isDone = start >= end
    const hedge = this.#hedgeOf(worker)
    this.#disown(worker)
    if (hedged !== undefined) return isDone ? this.#supersede(hedged, end) : undefined
    if (hedge === undefined) {
      if (!isDone) this.#handOn({ start, end })
      return undefined
    }
    hedge.hedged = undefined
    if (isDone) {
      this.#disown(hedge)
      return hedge
    }
    // Bytes that have become its own since are not the other's.
    this.#assigned.remove({ start: Math.max(start, hedge.end), end })
    return undefined
  }

  /** Everything up to `end` has been brought by somebody else. */
  #supersede(worker: Worker, end: number): Worker {
    this.#assigned.remove({ start: Math.max(end, placeOf(worker)), end: worker.end })
    this.#disown(worker)
    return worker
  }

  #handOn({ start, end }: Span): void {
    for (const other of this.workers.values()) {
      if (other.end !== start || other.responseEnd <= start || other.hedged !== undefined) continue
      if (other.writer === undefined || other.writer.cursor === start) continue
      other.end = Math.min(end, other.responseEnd)
      other.writer.setEnd(other.end)
      this.#assigned.remove({ start: other.end, end })
      return
    }
    this.#assigned.remove({ start, end })
  }

  #hedgeOf(worker: Worker): Worker | undefined {
    for (const other of this.workers.values()) if (other.hedged === worker) return other
    return undefined
  }

  /** Its span is empty from now on; whose the bytes are then is the caller's business. */
  #disown(worker: Worker): void {
    const at = placeOf(worker)
    worker.start = at
    worker.end = at
    worker.hedged = undefined
    worker.writer = undefined
  }
}

/** How far a connection has got: what may yet turn out to be wrong does not count. */
function placeOf(worker: Worker): number {
  return worker.unproven ? worker.start : cursorOf(worker)
}

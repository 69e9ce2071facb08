/**
 * The way of what is added into the thread of an outbox: parts as they come, many small items at a
 * time, and never more than a few parts in memory.
 */
import { createHash, randomUUID } from 'node:crypto'
import type { StageStep } from './outbox-database.ts'
import { checkName, checkPartBytes, cutParts } from './outbox-parts.ts'
import type { NewItem, OutboxAddOptions } from './outbox.ts'

/** Takes steps of adding, whose memory is handed over; gives it back when they are written. */
export type Stage = (steps: readonly StageStep[]) => Promise<ArrayBuffer[]>

// While some steps are written the next are made.
const MAX_RUNNING = 2
// Steps are gathered up to one of these.
const MAX_STEPS = 256
const MAX_GATHERED_BYTES = 1_048_576

export class OutboxStager {
  readonly #stage: Stage
  readonly #options: OutboxAddOptions
  readonly #running = new Set<Promise<void>>()
  #memory: ArrayBuffer[] = []
  #gathered: StageStep[] = []
  #gatheredBytes = 0
  #failure: { readonly error: unknown } | undefined

  constructor(stage: Stage, options: OutboxAddOptions) {
    this.#stage = stage
    this.#options = options
  }

  /** Takes one item in. */
  async add({ name, type, metadata = {}, content }: NewItem): Promise<void> {
    const id = randomUUID()
    const begin = { name: checkName(name), type, metadata }
    if (content.mode === 'reference') {
      await this.#put({ id, begin: { ...begin, content }, end: { sha256: undefined } })
    } else {
      const partBytes = checkPartBytes(content.partBytes)
      await this.#addStored({ id, begin: { ...begin, content: partBytes } }, content.pieces)
    }
  }

  /** Waits until all is written. */
  async flush(): Promise<void> {
    await this.#send()
    await Promise.all(this.#running)
    this.#throwFailure()
  }

  async #addStored(
    { id, begin }: Required<Pick<StageStep, 'id' | 'begin'>>,
    pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<void> {
    const partBytes = begin.content as number
    const { signal, onProgress } = this.#options
    const takeMemory = (): ArrayBuffer => this.#takeMemory(partBytes)
    // The other thread has the digests of the parts to make, and the disk to wait for.
    const whole = createHash('sha256')
    let bytes = 0
    // The last part is known only when the next does not come.
    let step: StageStep = { id, begin }
    for await (const part of cutParts(pieces, { partBytes, signal, takeMemory })) {
      if (step.part !== undefined) {
        await this.#put(step)
        step = { id }
      }
      whole.update(part)
      step = { ...step, part: this.#fit(part) }
      bytes += part.length
      onProgress?.(begin.name, bytes)
    }
    await this.#put({ ...step, end: { sha256: whole.digest('hex') } })
    if (bytes === 0) onProgress?.(begin.name, 0)
  }

  async #put(step: StageStep): Promise<void> {
    this.#throwFailure()
    this.#gathered.push(step)
    this.#gatheredBytes += step.part?.length ?? 0
    const isEnough = this.#gathered.length >= MAX_STEPS || this.#gatheredBytes >= MAX_GATHERED_BYTES
    if (isEnough) await this.#send()
  }

  async #send(): Promise<void> {
    if (this.#gathered.length === 0) return
    const steps = this.#gathered
    this.#gathered = []
    this.#gatheredBytes = 0
    while (this.#running.size >= MAX_RUNNING) await Promise.race(this.#running)
    const running = this.#stage(steps)
      .then(
        (memory) => void this.#memory.push(...memory),
        (error: unknown) => void (this.#failure ??= { error }),
      )
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** A part that fills little of its memory goes over in as much as it needs. */
  #fit(part: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    if (part.length * 2 > part.buffer.byteLength) return part
    this.#memory.push(part.buffer)
    return part.slice()
  }

  #takeMemory(partBytes: number): ArrayBuffer {
    // Items may have parts of different sizes; what is too small is left to the collector.
    const memory = this.#memory.pop()
    return memory !== undefined && memory.byteLength >= partBytes
      ? memory
      : new ArrayBuffer(partBytes)
  }
}

/**
 * The content of a response, taken once: whole, piece by piece, or by a sink without promises.
 *
 * Owns what has come and not been taken: at most one read beyond `HELD_BYTES`, then the connection
 * pauses. A body that is not taken to its end holds its connection, `cancel()` gives it back; one that
 * nobody begins to take is given up after the body timeout.
 */
import { StreamError } from '../errors.ts'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import type { Flow } from './connection.ts'
import { createCollector } from './content-collector.ts'

/** Takes content without a promise for each piece. */
export interface BodySink {
  /** Called first; `flow.resume()` goes on after `write` returned false. */
  start?(flow: { resume(): void }): void
  /** Content, valid only until this returns. Returning false pauses; what was read is still given. */
  write(bytes: Buffer): boolean
  /** Memory that the next content should land in; undefined for any. */
  buffer?(): Buffer | undefined
}

// Enough for a response that comes with its head; more waits in the kernel's buffer.
const HELD_BYTES = 65_536

type Outcome = { readonly ok: true } | { readonly ok: false; readonly error: Error }

/** The content of one response. */
export class ResponseBody implements AsyncIterable<Uint8Array>, Disposable {
  /** Bytes announced; undefined when the server did not tell. */
  readonly length: number | undefined
  readonly #flow: Flow
  #held: Buffer[] = []
  #heldBytes = 0
  #sink: BodySink | undefined
  #used = false
  #outcome: Outcome | undefined
  #settle: (() => void) | undefined
  #trailers = HeaderFields.empty
  #onEnd: (() => void) | undefined
  readonly #onUse: (() => void) | undefined
  #explain: ((error: Error) => Error) | undefined

  /** `onUse` is called when somebody begins to take the content. */
  constructor(flow: Flow, length: number | undefined, onUse?: () => void) {
    this.#onUse = onUse
    this.#flow = flow
    this.length = length
  }

  /** Fields after the content; empty until its end has come. */
  get trailers(): HeaderFields {
    return this.#trailers
  }

  /** Whether somebody takes, or has taken, the content. */
  get used(): boolean {
    return this.#used
  }

  /** Calls back once, when nothing more comes, however it ended; at once when that is so. */
  onEnd(callback: () => void): void {
    if (this.#outcome !== undefined) {
      callback()
      return
    }
    const before = this.#onEnd
    this.#onEnd = () => {
      before?.()
      callback()
    }
  }

  /**
   * Gives all content at once.
   * @throws {StreamError} when the connection breaks first, or there are more than `maxBytes`
   */
  async bytes(maxBytes: number = Number.POSITIVE_INFINITY): Promise<Buffer> {
    if (this.#outcome?.ok === true && !this.#used && this.#heldBytes <= maxBytes) {
      this.#used = true
      return this.#takeHeld()
    }
    const collector = createCollector(this.length, maxBytes)
    await this.pipe(collector)
    return collector.take()
  }

  /** Gives all content to a sink; resolves at the end. What the sink throws ends the exchange. */
  async pipe(sink: BodySink): Promise<void> {
    this.#use()
    this.#sink = sink
    const held = this.#held
    this.#held = []
    this.#heldBytes = 0
    let flowing = true
    let givesHeld = true
    let hasResumed = false
    const resume = (): void => {
      // What is held comes before what is still to come.
      if (givesHeld) hasResumed = true
      else this.#flow.resume()
    }
    try {
      sink.start?.({ resume })
      for (const bytes of held) {
        hasResumed = false
        flowing = sink.write(bytes) || hasResumed
      }
    } catch (error) {
      this.#flow.abort(error as Error)
      throw error
    }
    givesHeld = false
    if (flowing) this.#flow.resume()
    await this.#end()
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    this.#use()
    try {
      for (;;) {
        const bytes = this.#held.length > 0 ? this.#takeHeld() : undefined
        if (bytes !== undefined) {
          this.#flow.resume()
          yield bytes
        } else if (this.#outcome === undefined) {
          await new Promise<void>((resolve) => (this.#settle = resolve))
        } else if (this.#outcome.ok) {
          return
        } else {
          throw this.#outcome.error
        }
      }
    } finally {
      this.cancel()
    }
  }

  /** Gives up what has not come; no effect after the end. Idempotent. */
  cancel(reason: Error = new StreamError('The response was given up')): void {
    if (this.#outcome === undefined) this.#flow.abort(reason)
  }

  /** Gives up what has not come. */
  [Symbol.dispose](): void {
    this.cancel()
  }

  // ── For the receiver of the response

  /** @internal */
  receive(bytes: Buffer): boolean {
    if (this.#sink !== undefined) return this.#sink.write(bytes)
    this.#held.push(Buffer.from(bytes))
    this.#heldBytes += bytes.length
    this.#wake()
    return this.#heldBytes < HELD_BYTES
  }

  /** @internal */
  receiveBuffer(): Buffer | undefined {
    return this.#sink?.buffer?.()
  }

  /** @internal */
  complete(trailers: HeaderFields): void {
    this.#trailers = trailers
    this.#outcome = { ok: true }
    this.#wake()
    this.#onEnd?.()
  }

  /** @internal Makes the error that whoever takes the content is given out of why it broke off. */
  explainFailure(explain: (error: Error) => Error): void {
    this.#explain = explain
    const outcome = this.#outcome
    if (outcome?.ok === false) this.#outcome = { ok: false, error: explain(outcome.error) }
  }

  /** @internal */
  fail(error: Error): void {
    this.#outcome = { ok: false, error: this.#explain?.(error) ?? error }
    this.#wake()
    this.#onEnd?.()
  }

  #use(): void {
    if (this.#used) throw new TypeError('The content of a response can be taken only once')
    this.#used = true
    this.#onUse?.()
  }

  #takeHeld(): Buffer {
    const bytes =
      this.#held.length === 1
        ? (this.#held[0] as Buffer)
        : Buffer.concat(this.#held, this.#heldBytes)
    this.#held = []
    this.#heldBytes = 0
    return bytes
  }

  async #end(): Promise<void> {
    if (this.#outcome === undefined) {
      await new Promise<void>((resolve) => (this.#settle = resolve))
    }
    if (this.#outcome?.ok === false) throw this.#outcome.error
  }

  #wake(): void {
    const settle = this.#settle
    if (settle === undefined || (this.#sink !== undefined && this.#outcome === undefined)) return
    this.#settle = undefined
    settle()
  }
}

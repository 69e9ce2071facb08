/** Reads the content of a request bit by bit, and leaves the connection to whoever answers. */
import type { Readable } from 'node:stream'
import { abortable, type Clock } from '../../clock.ts'
import { PaceWatch } from '../pace-watch.ts'
import { type InterruptReason, interrupted } from '../upload-writer.ts'

/** How long is waited for a client. */
export interface ReadPace {
  readonly clock: Clock
  /** How long it may send nothing. */
  readonly idleTimeoutMs: number
  /** Aborted when the server ends. */
  readonly closing?: AbortSignal
}

/** An iterator over the content; whoever makes it disposes of it, and it closes nothing. */
export class RequestReader implements AsyncIterator<Uint8Array>, Disposable {
  readonly #iterator: AsyncIterator<Uint8Array>
  readonly #pace: PaceWatch
  readonly #closing: AbortSignal | undefined
  readonly #ended = new AbortController()
  #reason: InterruptReason = 'lost'

  constructor(request: Readable, { clock, idleTimeoutMs, closing }: ReadPace) {
    this.#iterator = request.iterator({ destroyOnReturn: false }) as AsyncIterator<Uint8Array>
    const pace = { windowMs: idleTimeoutMs, bytesPerWindow: 1 }
    this.#pace = new PaceWatch(clock, pace, () => this.#end('slow'))
    this.#closing = closing
    closing?.addEventListener('abort', this.#onClosing)
    if (closing?.aborted === true) this.#end('closed')
  }

  /** @throws {UploadError} upload-interrupted */
  async next(): Promise<IteratorResult<Uint8Array>> {
    try {
      const result = await abortable(this.#iterator.next(), this.#ended.signal)
      if (result.done !== true) this.#pace.note(result.value.length)
      return result
    } catch (cause) {
      throw interrupted('of a chunk that was read', this.#reason, cause as Error)
    }
  }

  [Symbol.dispose](): void {
    this.#pace.close()
    this.#closing?.removeEventListener('abort', this.#onClosing)
    // It may wait for bytes that never come.
    this.#iterator.return?.().catch(() => {})
  }

  readonly #onClosing = (): void => this.#end('closed')

  #end(reason: InterruptReason): void {
    this.#reason = reason
    this.#ended.abort()
  }
}

/** Reads the content of a request bit by bit, and leaves the connection to whoever answers. */
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../clock.ts'
import { PaceWatch } from '../pace-watch.ts'
import { interrupted } from '../upload-writer.ts'

/** How long a client may send nothing. */
export interface ReadPace {
  readonly clock: Clock
  readonly idleTimeoutMs: number
}

/** An iterator over the content; whoever makes it disposes of it, and it closes nothing. */
export class RequestReader implements AsyncIterator<Uint8Array>, Disposable {
  readonly #iterator: AsyncIterator<Uint8Array>
  readonly #pace: PaceWatch

  constructor(request: IncomingMessage, { clock, idleTimeoutMs }: ReadPace) {
    this.#iterator = request.iterator({ destroyOnReturn: false }) as AsyncIterator<Uint8Array>
    this.#pace = new PaceWatch(clock, { windowMs: idleTimeoutMs, bytesPerWindow: 1 }, () => {
      request.destroy()
    })
  }

  /** @throws {UploadError} upload-interrupted */
  async next(): Promise<IteratorResult<Uint8Array>> {
    try {
      const result = await this.#iterator.next()
      if (result.done !== true) this.#pace.note(result.value.length)
      return result
    } catch (cause) {
      throw interrupted('of a chunk that was compared', 'lost', cause as Error)
    }
  }

  [Symbol.dispose](): void {
    this.#pace.close()
    // It may wait for bytes that never come.
    this.#iterator.return?.().catch(() => {})
  }
}

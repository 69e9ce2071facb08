/**
 * Compression of messages (RFC 7692) that waits while nobody takes what it would give.
 *
 * A few bytes can become megabytes, so it is not enough to stop the socket: what has come already is
 * inflated only while there is room. Owns zlib's memory, and frees it when nothing is in the work.
 */
import type { PerMessageDeflateOptions } from './websocket-options.ts'
import { type DeflateDone, PerMessageDeflate } from './ws-frames.ts'

/** One for each connection; `close()` it. */
export class MessageDeflate extends PerMessageDeflate {
  /** Asked before anything is inflated. */
  hasRoom: () => boolean = () => true
  #waiting: (() => void) | undefined
  #inflating = false
  #closed = false

  constructor(options: PerMessageDeflateOptions, maxMessageBytes: number) {
    const { threshold: _, ...asked } = options
    super({ ...asked, threshold: 0, maxPayload: maxMessageBytes })
  }

  override decompress(bytes: Buffer, fin: boolean, done: DeflateDone): void {
    if (this.#closed) return
    if (!this.hasRoom()) {
      this.#waiting = () => this.decompress(bytes, fin, done)
      return
    }
    this.#inflating = true
    super.decompress(bytes, fin, (error, inflated) => {
      this.#inflating = false
      if (this.#closed) super.cleanup()
      else done(error, inflated)
    })
  }

  override compress(bytes: Uint8Array | string, fin: boolean, done: DeflateDone): void {
    super.compress(bytes, fin, (error, deflated) => {
      done(error, deflated)
      // It may have waited for its turn and made new memory since.
      if (this.#closed && !this.#inflating) super.cleanup()
    })
  }

  /** Goes on when there is room again. */
  proceed(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.()
  }

  /** Gives up what waits, and frees the memory as soon as it may be. Idempotent. */
  close(): void {
    this.#closed = true
    this.#waiting = undefined
    if (!this.#inflating) super.cleanup()
  }
}

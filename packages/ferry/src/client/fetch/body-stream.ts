/**
 * The content of a response as the web stream that fetch gives: a byte stream that takes nothing before
 * it is read, and one piece for each read, so that a slow reader slows the server.
 */
import { StreamError } from '../../errors.ts'
import type { ResponseBody } from '../../transport/response-body.ts'
import { type FetchAttempt, toFetchError } from './fetch-error.ts'

/** Whose content it is. */
export interface BodyStreamOptions extends FetchAttempt {
  readonly signal: AbortSignal | undefined
}

/**
 * Gives a stream of a body, which it takes over. Cancelling it gives the body up; a read fails with
 * `signal.reason` after an abort, also when all of the content is here, and else with TypeError.
 */
export function bodyStream(
  body: ResponseBody,
  options: BodyStreamOptions,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const { signal } = options
  let pieces: AsyncIterator<Uint8Array> | undefined
  return new ReadableStream({
    type: 'bytes',
    async pull(controller) {
      try {
        signal?.throwIfAborted()
        pieces ??= body[Symbol.asyncIterator]()
        const { done, value } = await pieces.next()
        if (done !== true) {
          controller.enqueue(ownMemory(value))
          return
        }
        controller.close()
        // A reader that brought its own memory waits for it.
        controller.byobRequest?.respond(0)
      } catch (error) {
        body.cancel()
        throw signal?.aborted === true ? signal.reason : toFetchError(error, options)
      }
    },
    cancel() {
      body.cancel(new StreamError('The response was given up'))
    },
  })
}

/** The stream takes the memory of a piece away: it must not be part of a larger one. */
function ownMemory(piece: Uint8Array): Uint8Array<ArrayBuffer> {
  const isWhole = piece.byteLength === piece.buffer.byteLength
  return isWhole ? (piece as Uint8Array<ArrayBuffer>) : new Uint8Array(piece)
}

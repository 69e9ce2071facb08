/** Content on its way out: counted, and no faster than a limit lets it. */
import { type Clock, wait } from '../clock.ts'
import type { RateLimit } from '../transfer/rate-limit.ts'
import type { Content, StreamedContent } from '../transport/content.ts'

/** What content is sent by. */
export interface Pace {
  readonly limit: RateLimit
  readonly clock: Clock
  /** Told of bytes as they are handed on: the system has them soon after. */
  readonly onSent: (bytes: number) => void
}

// What is given at once without a limit: the transport cuts it further.
const PIECE_BYTES = 262_144
// Under a limit, pieces are small so that it holds from moment to moment.
const LIMITED_PIECES_PER_SECOND = 20
const MIN_LIMITED_PIECE_BYTES = 4096

/** The same content, of the same length and as often. */
export function paceContent(content: Content, pace: Pace): Content {
  if (content instanceof Uint8Array) {
    return {
      length: content.length,
      replayable: true,
      open: (signal) => giveSlices([content], pace, signal),
    } satisfies StreamedContent
  }
  const { length, replayable } = content
  return { length, replayable, open: (signal) => giveSlices(content.open(signal), pace, signal) }
}

async function* giveSlices(
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  { limit, clock, onSent }: Pace,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void> {
  for await (const piece of pieces) {
    let at = 0
    while (at < piece.length) {
      const slice = piece.subarray(at, at + sliceBytes(limit))
      at += slice.length
      const pauseMs = limit.take(slice.length, clock.now())
      onSent(slice.length)
      yield slice
      if (pauseMs > 0) await wait(pauseMs, signal, clock)
    }
  }
}

function sliceBytes({ effectiveBytesPerSecond: bytesPerSecond }: RateLimit): number {
  if (bytesPerSecond === undefined) return PIECE_BYTES
  const bytes = Math.ceil(bytesPerSecond / LIMITED_PIECES_PER_SECOND)
  return Math.min(PIECE_BYTES, Math.max(MIN_LIMITED_PIECE_BYTES, bytes))
}

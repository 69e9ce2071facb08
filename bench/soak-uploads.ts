/** What the soak uploads: bytes, and streams that keep the sender waiting. */
import type { HttpRequest } from 'ferry/transport'
import { contentOf } from './soak-content.ts'

/** Content of a random length. */
export interface Upload {
  readonly content: HttpRequest['content']
  /** What the server must get. */
  readonly sent: Buffer
}

export function createBytes(): Upload {
  const sent = contentOf(Math.floor(Math.random() * 20_000))
  return { content: sent, sent }
}

export function createStream(hasLength: boolean, pauseMs = 0): Upload {
  const sent = contentOf(Math.floor(Math.random() * 100_000))
  const open = (): AsyncIterable<Uint8Array> => yieldPieces(sent, pauseMs)
  const content = { open, replayable: true, ...(hasLength ? { length: sent.length } : {}) }
  return { content, sent }
}

async function* yieldPieces(content: Buffer, pauseMs: number): AsyncIterable<Uint8Array> {
  for (let at = 0; at < content.length; at += 16_384) {
    await new Promise((resolve) =>
      pauseMs > 0 ? setTimeout(resolve, pauseMs) : setImmediate(resolve),
    )
    yield content.subarray(at, at + 16_384)
  }
}

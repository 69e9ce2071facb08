/** The bytes that soak servers send and soak requests expect: any length, the same in every process. */
import { createHash } from 'node:crypto'

const MAX_BYTES = 1_048_576
const BLOCK_BYTES = 32

const PATTERN = createPattern()

/** The first `length` bytes; at most a MiB. */
export function contentOf(length: number): Buffer {
  return PATTERN.subarray(0, length)
}

export function digestOf(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}

/** Blocks of digests of their numbers: no two alike, so that a swapped or lost piece shows. */
function createPattern(): Buffer {
  const blocks = Array.from({ length: MAX_BYTES / BLOCK_BYTES }, (_, index) =>
    createHash('sha256').update(String(index)).digest(),
  )
  return Buffer.concat(blocks)
}

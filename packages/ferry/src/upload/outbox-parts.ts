/** Content of any shape, cut into the parts that an outbox keeps. */
import { ConfigError } from '../errors.ts'
import { toContent } from '../transport/content.ts'
import { openContent } from '../transport/request-stream.ts'
import type { NewStoredContent } from './outbox.ts'

/** As the Python client of IndexedCP has it; what a database takes at a time without ado. */
const DEFAULT_PART_BYTES = 1_048_576
// A part is in memory, twice at times.
export const MAX_PART_BYTES = 67_108_864

/** @throws {ConfigError} */
export function checkPartBytes(partBytes: number = DEFAULT_PART_BYTES): number {
  if (Number.isSafeInteger(partBytes) && partBytes >= 1 && partBytes <= MAX_PART_BYTES) {
    return partBytes
  }
  throw new ConfigError(
    'partBytes',
    `Cannot store parts of ${String(partBytes)} bytes: expected 1 to ${MAX_PART_BYTES}`,
  )
}

/** @throws {ConfigError} */
export function checkName(name: string): string {
  if (typeof name === 'string' && name !== '' && name.isWellFormed()) return name
  throw new ConfigError('name', `Cannot add an item with the name ${JSON.stringify(name)}`)
}

/** How content is cut. */
export interface CutOptions {
  readonly partBytes: number
  readonly signal: AbortSignal | undefined
  /** Gives memory for a part: at least `partBytes`. @defaultValue new memory for each */
  readonly takeMemory?: () => ArrayBuffer
}

/**
 * Cuts content into parts of `partBytes` and a last one that may be shorter; none for empty content.
 * Each part is in memory of its own, from its start.
 * @throws what the content throws, and `signal.reason`
 */
export async function* cutParts(
  pieces: NewStoredContent['pieces'],
  { partBytes, signal, takeMemory = () => new ArrayBuffer(partBytes) }: CutOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  let part: Uint8Array<ArrayBuffer> | undefined
  let filled = 0
  for await (const piece of openContent(toContent(pieces), signal)) {
    signal?.throwIfAborted()
    for (let taken = 0; taken < piece.length;) {
      part ??= new Uint8Array(takeMemory(), 0, partBytes)
      const length = Math.min(piece.length - taken, partBytes - filled)
      part.set(piece.subarray(taken, taken + length), filled)
      taken += length
      filled += length
      if (filled < partBytes) continue
      yield part
      part = undefined
      filled = 0
    }
  }
  // What is aborted ends without a word.
  signal?.throwIfAborted()
  if (part !== undefined) yield part.subarray(0, filled)
}

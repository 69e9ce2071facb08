/** Tells whether bytes on their way are those that are there already, without keeping either. */

/** Bytes that are there. */
export interface HeldContent {
  readonly length: number
  /** Bytes from `offset` on; fewer only at the end. */
  read(offset: number, length: number): Promise<Buffer>
}

/** Outcome of a comparison. */
export type Comparison =
  | { readonly isSame: true }
  | {
      readonly isSame: false
      /** Everything that came and is still to come. */
      readonly content: AsyncIterable<Uint8Array>
    }

const READ_BYTES = 262_144

/**
 * Reads content until it differs, or to its end. What it comes from is not closed; its failure is
 * this one's.
 */
export async function compareContent(
  source: AsyncIterator<Uint8Array>,
  held: HeldContent,
): Promise<Comparison> {
  let position = 0
  for (;;) {
    const { done, value } = await source.next()
    if (done === true) break
    const expected = await held.read(position, Math.min(value.length, held.length - position))
    if (!expected.equals(value)) {
      return { isSame: false, content: continueFrom(source, held, position, value) }
    }
    position += value.length
  }
  if (position === held.length) return { isSame: true }
  return { isSame: false, content: readHeld(held, position) }
}

/** Not by `yield*`, which would close the source with the generator. */
async function* continueFrom(
  source: AsyncIterator<Uint8Array>,
  held: HeldContent,
  position: number,
  next: Uint8Array,
): AsyncGenerator<Uint8Array, void> {
  yield* readHeld(held, position)
  yield next
  for (;;) {
    const { done, value } = await source.next()
    if (done === true) return
    yield value
  }
}

/** The first bytes of what is there. */
export async function* readHeld(
  held: HeldContent,
  end: number = held.length,
): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < end; at += READ_BYTES) {
    yield await held.read(at, Math.min(READ_BYTES, end - at))
  }
}

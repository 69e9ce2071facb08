/**
 * Gives bytes that are the same wherever they are made, in a browser too, and of which no two pieces
 * are alike: 32-bit words that count, each turned about.
 */
export function numberedBytes(size: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(size / 4))
  // Knuth's multiplicative hash: neighbours differ in all their bytes.
  for (let index = 0; index < words.length; index++) words[index] = Math.imul(index, 2_654_435_761)
  return new Uint8Array(words.buffer, 0, size)
}

/** The same bytes, a piece at a time, so that there may be more of them than memory has room for. */
export function* numberedPieces(size: number): Generator<Uint8Array<ArrayBuffer>, void> {
  for (let start = 0; start < size; start += PIECE_BYTES) {
    const length = Math.min(PIECE_BYTES, size - start)
    const words = new Uint32Array(Math.ceil(length / 4))
    const first = start / 4
    for (let at = 0; at < words.length; at++) words[at] = Math.imul(first + at, 2_654_435_761)
    yield new Uint8Array(words.buffer, 0, length)
  }
}

// A multiple of the words.
const PIECE_BYTES = 1_048_576

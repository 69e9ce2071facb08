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

/** Content that a seed gives, at any place: what the receiving tests send, and what has to be there. */

/** Bytes `start` up to, not including, `end` of the file of a seed. */
export function seededContent(seed: number, start: number, end: number): Buffer {
  const bytes = Buffer.allocUnsafe(end - start)
  for (let at = start; at < end; at++) {
    bytes[at - start] = Math.imul(at + seed, 0x9e3779b1) >>> 24
  }
  return bytes
}

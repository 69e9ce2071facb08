/** Hash functions by our names for them, whoever computes them: node:crypto, or WebAssembly. */

/** Takes bytes in order; of no use after `digest`. */
export interface Hasher {
  update(bytes: Uint8Array): unknown
  digest(encoding: 'hex'): string
}

/**
 * Gives a fresh hasher.
 * @param algorithm one of the names that `parseChecksum` gives
 * @throws {Error} of node:crypto, when it does not know the algorithm, or may not use it
 */
export async function createHasher(algorithm: string): Promise<Hasher> {
  // Loaded here: most runs need one of them at the most, and each takes as long as all our modules.
  if (algorithm === 'blake3') return (await import('hash-wasm')).createBLAKE3()
  // OpenSSL has BLAKE2b with 512 bits only.
  if (algorithm === 'blake2b256') return (await import('hash-wasm')).createBLAKE2b(256)
  return (await import('node:crypto')).createHash(algorithm)
}

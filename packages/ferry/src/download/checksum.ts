/** Whole-file checksums: what may be asked for, and computing one without holding the event loop. */
import { open } from 'node:fs/promises'
import { ConfigError, TransferError } from '../errors.ts'

/** A digest to expect, hexadecimal in lower case. */
export interface Checksum {
  readonly algorithm: string
  readonly hex: string
}

/** Names as people write them → the names of node:crypto, with the digest's length in bytes. */
const ALGORITHMS: ReadonlyMap<string, readonly [name: string, bytes: number]> = new Map([
  ['md5', ['md5', 16]],
  ['sha1', ['sha1', 20]],
  ['sha224', ['sha224', 28]],
  ['sha256', ['sha256', 32]],
  ['sha384', ['sha384', 48]],
  ['sha512', ['sha512', 64]],
])
const BLOCK_BYTES = 1_048_576

/**
 * Reads `sha256=HEX`, also `sha-256=HEX`.
 * @throws {ConfigError} when the algorithm is unknown or the digest is not of its length
 */
export function parseChecksum(text: string): Checksum {
  const [name = '', hex = ''] = text.split('=', 2)
  const known = ALGORITHMS.get(name.toLowerCase().replace('-', ''))
  if (known === undefined) {
    throw new ConfigError(
      'checksum',
      `Cannot check by ${JSON.stringify(name)}: expected ${[...ALGORITHMS.keys()].join(', ')}`,
    )
  }
  const [algorithm, bytes] = known
  if (!/^[0-9a-f]*$/i.test(hex) || hex.length !== bytes * 2) {
    throw new ConfigError(
      'checksum',
      `Cannot use the ${name} digest: expected ${bytes * 2} hexadecimal digits, got ${hex.length} characters`,
    )
  }
  return { algorithm, hex: hex.toLowerCase() }
}

/** The digest of a file's content, hexadecimal. `onProgress` is told how many bytes are done. */
export async function digestFile(
  path: string,
  algorithm: string,
  options: {
    signal?: AbortSignal | undefined
    onProgress?: ((bytes: number) => void) | undefined
  } = {},
): Promise<string> {
  // Loaded here: most downloads check no digest, and loading it takes as long as all of our modules.
  const { createHash } = await import('node:crypto')
  const hash = createHash(algorithm)
  const block = Buffer.allocUnsafeSlow(BLOCK_BYTES)
  await using file = await open(path, 'r')
  for (let offset = 0; ;) {
    options.signal?.throwIfAborted()
    const { bytesRead } = await file.read(block, 0, block.length, offset)
    if (bytesRead === 0) return hash.digest('hex')
    hash.update(block.subarray(0, bytesRead))
    offset += bytesRead
    options.onProgress?.(offset)
  }
}

/** @throws {TransferError} checksum-mismatch, when the file is another than the one expected */
export function checkDigest(path: string, expected: Checksum, actual: string): void {
  if (actual === expected.hex) return
  throw new TransferError(
    'checksum-mismatch',
    `Cannot accept ${path}: expected ${expected.algorithm} ${expected.hex}, got ${actual}`,
    { detail: { algorithm: expected.algorithm, expected: expected.hex, actual } },
  )
}

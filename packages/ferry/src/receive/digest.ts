/** Digests that clients announce, of a piece or of the whole; hexadecimal in lower case. */
import { createHash, type Hash } from 'node:crypto'
import { UploadError } from '../errors.ts'

/** What the digest of some bytes has to be. */
export interface Digest {
  readonly algorithm: DigestAlgorithm
  readonly hex: string
}

/** Algorithms that can be checked, as FieldDigest names them; tus cannot do without SHA-1. */
export type DigestAlgorithm = (typeof ALGORITHMS)[number]

const ALGORITHMS = ['sha512', 'sha256', 'sha1', 'md5'] as const

/** Whether a value from a journal is a digest. */
export function isDigest(value: unknown): value is Digest {
  const { algorithm, hex } = (value ?? {}) as Partial<Record<keyof Digest, unknown>>
  return isDigestAlgorithm(algorithm) && typeof hex === 'string'
}

/** @throws {UploadError} digest-unsupported */
export function createDigestHash({ algorithm }: Pick<Digest, 'algorithm'>): Hash {
  if (isDigestAlgorithm(algorithm)) return createHash(algorithm)
  throw new UploadError(
    'digest-unsupported',
    `Cannot check by ${JSON.stringify(algorithm)}: expected ${ALGORITHMS.join(', ')}`,
  )
}

/** The error for bytes that are others than announced; undefined when they are right. */
export function compareHex(
  what: string,
  expected: Digest,
  actual: string,
): UploadError | undefined {
  const { algorithm, hex } = expected
  if (actual === hex.toLowerCase()) return undefined
  return new UploadError(
    'digest-mismatch',
    `Cannot accept ${what}: expected ${algorithm} ${hex}, got ${actual}`,
    { detail: { algorithm, expected: hex, actual } },
  )
}

/** Whether digests can be made by it. */
export function isDigestAlgorithm(algorithm: unknown): algorithm is DigestAlgorithm {
  return (ALGORITHMS as readonly unknown[]).includes(algorithm)
}

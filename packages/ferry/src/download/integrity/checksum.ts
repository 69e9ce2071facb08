/** Digests that people and servers name: reading them, and which of several to go by. Pure. */
import { ConfigError, TransferError } from '../../errors.ts'
import { hexFromBase64 } from '../../protocol/semantics/digest-fields.ts'

/** A digest to expect, hexadecimal in lower case. */
export interface Checksum {
  /** One of the names that `parseChecksum` gives, such as `sha256`. */
  readonly algorithm: string
  readonly hex: string
}

/** Strongest first: our name, the digest's length in bytes, other names without their hyphens. */
const ALGORITHMS: readonly (readonly [algorithm: string, bytes: number, ...aliases: string[]])[] = [
  ['sha512', 64, 'sha2512'],
  ['sha3-512', 64],
  ['blake2b512', 64, 'blake2b'],
  ['sha384', 48, 'sha2384'],
  ['sha3-384', 48],
  ['sha256', 32, 'sha2256'],
  ['sha512-256', 32, 'sha2512256', 'sha512t256'],
  ['sha3-256', 32],
  ['blake3', 32],
  ['blake2b256', 32],
  ['blake2s256', 32, 'blake2s'],
  ['sha224', 28, 'sha2224'],
  ['sha512-224', 28, 'sha2512224', 'sha512t224'],
  ['sha3-224', 28],
  ['sha1', 20],
  ['md5', 16],
]
const NAMES: readonly string[] = ALGORITHMS.map(([algorithm]) => algorithm)
const BYTES: ReadonlyMap<string, number> = new Map(
  ALGORITHMS.map(([algorithm, bytes]) => [algorithm, bytes]),
)
const BY_LABEL: ReadonlyMap<string, string> = new Map(
  ALGORITHMS.flatMap(([algorithm, , ...aliases]) =>
    [algorithm, ...aliases].map((label) => [toKey(label), algorithm]),
  ),
)

// https://w3c.github.io/webappsec-subresource-integrity/: the only form with a hyphen in between.
const SUBRESOURCE_INTEGRITY = /^(sha(?:256|384|512))-([A-Za-z0-9+/_-]+={0,2})$/i
const LABELLED = /^([^=:]*)[=:](.*)$/

/**
 * Reads `sha256=HEX`, `sha256:HEX`, `sha-256=HEX`, either with base64 in place of hexadecimal, the
 * form of Repr-Digest, `sha-256=:BASE64:`, and that of subresource integrity, `sha256-BASE64`.
 * @throws {ConfigError} when the algorithm is unknown or the digest is not of its length
 */
export function parseChecksum(text: string): Checksum {
  const trimmed = text.trim()
  const found = SUBRESOURCE_INTEGRITY.exec(trimmed) ?? LABELLED.exec(trimmed)
  const [, label = trimmed, digest = ''] = found ?? []
  const algorithm = algorithmNamed(label)
  if (algorithm === undefined) {
    throw new ConfigError(
      'checksum',
      `Cannot check by ${JSON.stringify(label)}: expected ${NAMES.join(', ')}`,
    )
  }
  const hex = readDigest(algorithm, digest.replace(/^:(.*):$/, '$1'))
  if (hex === undefined) {
    const bytes = BYTES.get(algorithm) as number
    throw new ConfigError(
      'checksum',
      `Cannot use the ${label} digest: expected ${bytes * 2} hexadecimal digits ` +
        `or ${bytes} bytes in base64, got ${digest.length} characters`,
    )
  }
  return { algorithm, hex }
}

/** The algorithm that a label means, such as `SHA2-256` or `BLAKE2b`; undefined when it is unknown. */
export function algorithmNamed(label: string): string | undefined {
  return BY_LABEL.get(toKey(label))
}

/** A digest in hexadecimal or base64, as hexadecimal; undefined when it is not of its length. */
export function readDigest(algorithm: string, text: string): string | undefined {
  const digits = (BYTES.get(algorithm) ?? Number.NaN) * 2
  const hex = text.length === digits && /^[0-9a-f]+$/i.test(text) ? text : hexFromBase64(text)
  return hex?.length === digits ? hex.toLowerCase() : undefined
}

/**
 * The one to check by. Undefined when there is none.
 * @throws {ConfigError} when two of the same algorithm contradict each other
 */
export function strongestChecksum(checksums: readonly Checksum[]): Checksum | undefined {
  const found = NAMES.map((name) => checksums.filter(({ algorithm }) => algorithm === name))
  for (const [first, ...others] of found) {
    const other = others.find(({ hex }) => hex !== first?.hex)
    if (first === undefined || other === undefined) continue
    throw new ConfigError(
      'checksum',
      `Cannot check by ${first.algorithm}: both ${first.hex} and ${other.hex} are expected`,
    )
  }
  return found.find((checksumsOfOne) => checksumsOfOne.length > 0)?.[0]
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

/** Labels differ in case and in what stands between the name and its numbers. */
function toKey(label: string): string {
  return label.toLowerCase().replaceAll(/[-_/]/g, '')
}

/** Public key pins, as RFC 7469 §2.4 and `curl --pinnedpubkey` write them. */
import { createHash, type X509Certificate } from 'node:crypto'
import { ConfigError } from '../errors.ts'

const PREFIX = 'sha256//'
// 32 bytes in base64; the last digit carries two bits, the rest of it is zero.
const SHA256_BASE64 = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/

/**
 * Gives the bare digests of pins.
 * @throws {ConfigError} for what is no pin, and for an empty list, which would let nobody in
 */
export function parsePins(pins: readonly string[] | undefined): readonly string[] | undefined {
  if (pins === undefined) return undefined
  const digests = pins.map((pin) => (pin.startsWith(PREFIX) ? pin.slice(PREFIX.length) : pin))
  const wrong = digests.findIndex((digest) => !SHA256_BASE64.test(digest))
  if (wrong === -1 && digests.length > 0) return digests
  const got = digests.length === 0 ? 'an empty list' : JSON.stringify(pins[wrong])
  throw new ConfigError(
    'pins',
    `Cannot use the TLS option pins: expected SHA-256 digests in base64, got ${got}`,
  )
}

/** The SHA-256 of a certificate's SubjectPublicKeyInfo in base64. */
export function publicKeyPin(certificate: X509Certificate): string {
  const key = certificate.publicKey.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(key).digest('base64')
}

/**
 * TLS contexts, one for each set of options that a context depends on: building one with the
 * system's store takes ~25 ms. Owns the checks of certificates and keys, and words for their faults.
 */
import {
  constants,
  createHash,
  createPrivateKey,
  type KeyObject,
  X509Certificate,
} from 'node:crypto'
import {
  createSecureContext,
  DEFAULT_CIPHERS,
  getCACertificates,
  type SecureContext,
  type SecureContextOptions,
} from 'node:tls'
import { ConfigError } from '../errors.ts'
import type { TlsOptions } from './network-backend.ts'

/** A context and the name it is known by. */
export interface SharedContext {
  readonly context: SecureContext
  /** A digest of all that the context was made from; tells nothing of it. */
  readonly id: string
}

// A context with the system's store holds some 2 MB; a process with more identities builds anew.
const MAX_CONTEXTS = 64
const MIN_VERSIONS: readonly unknown[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']

/** The one used last stands last. */
const contexts = new Map<string, SharedContext>()

/**
 * The context for these options, from the cache when there is one.
 * Trusts the system's certificates and NODE_EXTRA_CA_CERTS, or Node's own list where the system has none.
 * @throws {ConfigError} when a certificate or key cannot be used, or only one of the two is given
 */
export function secureContextFor(options: TlsOptions): SharedContext {
  const { ca, cert, key, passphrase, minVersion, legacyServerConnect } = options
  const parts = [ca, cert, key, passphrase, minVersion, legacyServerConnect === true]
  // Keys of maps end up in heap dumps and debuggers: private keys do not belong there.
  const id = createHash('sha256').update(JSON.stringify(parts)).digest('base64')
  const shared = contexts.get(id) ?? { context: createContext(options), id }
  contexts.delete(id)
  contexts.set(id, shared)
  const [oldest] = contexts.keys()
  if (contexts.size > MAX_CONTEXTS && oldest !== undefined) contexts.delete(oldest)
  return shared
}

function createContext(options: TlsOptions): SecureContext {
  const { minVersion = 'TLSv1.2', legacyServerConnect } = options
  if (!MIN_VERSIONS.includes(minVersion)) {
    throw unusable('minVersion', `expected one of ${MIN_VERSIONS.join(', ')}`)
  }
  const settings: SecureContextOptions = {
    ca: options.ca === undefined ? trustedCertificates() : readAuthorities(options.ca),
    minVersion,
    ...readIdentity(options),
    // OpenSSL 3 takes no signature of TLS 1.0 and 1.1 at its default security level.
    ...(minVersion < 'TLSv1.2' ? { ciphers: `${DEFAULT_CIPHERS}:@SECLEVEL=0` } : {}),
    ...(legacyServerConnect === true
      ? { secureOptions: constants.SSL_OP_LEGACY_SERVER_CONNECT }
      : {}),
  }
  return createSecureContext(settings)
}

function trustedCertificates(): string[] {
  const system = getCACertificates('system')
  const base = system.length > 0 ? system : getCACertificates('bundled')
  return [...base, ...getCACertificates('extra')]
}

/** A context passes over what it cannot read, and every server would then seem to be an impostor. */
function readAuthorities(ca: string | readonly string[]): string[] {
  const certificates = typeof ca === 'string' ? [ca] : [...ca]
  if (!certificates.some((pem) => pem.includes('-----BEGIN CERTIFICATE-----'))) {
    throw unusable('ca', 'no PEM certificate in it')
  }
  for (const pem of certificates) readCertificate('ca', pem)
  return certificates
}

/** Our own certificate and its key, checked one against the other. */
function readIdentity({ cert, key, passphrase }: TlsOptions): SecureContextOptions {
  if (cert === undefined && key === undefined) return {}
  if (cert === undefined) throw unusable('cert', 'missing, though a key is given')
  if (key === undefined) throw unusable('key', 'missing, though a certificate is given')
  const certificate = readCertificate('cert', cert)
  if (!certificate.checkPrivateKey(readKey(key, passphrase))) {
    throw unusable('key', 'it does not belong to the certificate')
  }
  return { cert, key, ...(passphrase === undefined ? {} : { passphrase }) }
}

function readCertificate(option: 'ca' | 'cert', pem: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch {
    throw unusable(option, 'not a readable PEM certificate')
  }
}

function readKey(key: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key, ...(passphrase === undefined ? {} : { passphrase }) })
  } catch {
    // In both ways that PEM says it: PKCS #8, and RFC 1421 §4.6.1.1.
    if (!key.includes('ENCRYPTED')) throw unusable('key', 'not a readable PEM private key')
    throw unusable(
      'passphrase',
      passphrase === undefined
        ? 'missing, though the key is encrypted'
        : 'it does not open the key',
    )
  }
}

/** Without the value, which may be a secret, and without the cause, which may quote it. */
function unusable(option: keyof TlsOptions, why: string): ConfigError {
  return new ConfigError(option, `Cannot use the TLS option ${option}: ${why}`)
}

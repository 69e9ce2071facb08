/** TLS contexts, one for each set of options: building one with the system's store takes ~25 ms. */
import { X509Certificate } from 'node:crypto'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { ConfigError } from '../errors.ts'
import type { TlsOptions } from './network-backend.ts'

const contexts = new Map<string, SecureContext>()

/**
 * The context for these options, from the cache when there is one.
 * Trusts the system's certificates and NODE_EXTRA_CA_CERTS, or Node's own list where the system has none.
 * @throws {ConfigError} when `ca` holds no readable certificate
 */
export function secureContextFor(options: TlsOptions): SecureContext {
  const key = JSON.stringify([options.ca])
  const known = contexts.get(key)
  if (known !== undefined) return known
  const context = createContext(options)
  contexts.set(key, context)
  return context
}

function createContext({ ca }: TlsOptions): SecureContext {
  if (ca === undefined) return createSecureContext({ ca: trustedCertificates() })
  const certificates = typeof ca === 'string' ? [ca] : [...ca]
  if (!certificates.some((pem) => pem.includes('-----BEGIN CERTIFICATE-----'))) {
    throw new ConfigError('ca', 'Cannot use the given CA certificates: no PEM certificate in them')
  }
  try {
    // A context passes over what it cannot read, and every server would then seem to be an impostor.
    for (const pem of certificates) void new X509Certificate(pem)
    return createSecureContext({ ca: certificates })
  } catch (cause) {
    throw new ConfigError('ca', `Cannot use the given CA certificates: ${(cause as Error).message}`)
  }
}

function trustedCertificates(): string[] {
  const system = getCACertificates('system')
  const base = system.length > 0 ? system : getCACertificates('bundled')
  return [...base, ...getCACertificates('extra')]
}

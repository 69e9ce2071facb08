/**
 * Settings of TLS in one call, as `build_ssl_context()` of the requirements has them, and the
 * variables by which an administrator lets in old servers. Pure; certificates are read and checked
 * when the first connection is made.
 */
import { ConfigError } from '../errors.ts'
import type { TlsOptions } from '../net/network-backend.ts'
import type { Environment } from './proxy-environment.ts'

/** What `buildTlsContext` may be told. */
export interface TlsContextOptions {
  /** The oldest version to accept; `TLS` is the default of `TlsOptions`, 1.2. @defaultValue 'TLS' */
  readonly protocol?: 'TLS' | NonNullable<TlsOptions['minVersion']> | undefined
  /**
   * Allows servers without secure renegotiation (RFC 5746): SSL_OP_LEGACY_SERVER_CONNECT.
   * @defaultValue what the environment says, else false
   */
  readonly enableLegacyServerConnect?: boolean | undefined
  /** PEM certificates to trust instead of the operating system's. */
  readonly ca?: TlsOptions['ca']
  /** Our own certificate, PEM, with its chain; needs `key`. */
  readonly cert?: string | undefined
  readonly key?: string | undefined
  /** Of `key`, when it is encrypted. */
  readonly passphrase?: string | undefined
  /** False accepts any certificate. @defaultValue true */
  readonly verify?: boolean | undefined
}

/** The first that is set decides; the other two are those of the programs that Ferry replaces. */
const LEGACY_CONNECT_VARIABLES: readonly string[] = [
  'FERRY_TLS_LEGACY_SERVER_CONNECT',
  'SEMA4AI_TLS_LEGACY_RENEGOTIATION_ALLOWED',
  'RC_TLS_LEGACY_RENEGOTIATION_ALLOWED',
]
const PROTOCOLS: readonly unknown[] = ['TLS', 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']

/**
 * Gives what a pool or a client takes as `tls`. Trusts the operating system's certificates and
 * NODE_EXTRA_CA_CERTS unless `ca` is given.
 * @throws {ConfigError} when `protocol` is none; for certificates and keys at the first connection
 * @throws {TypeError} when `verify` or `enableLegacyServerConnect` is no boolean
 */
export function buildTlsContext(
  options: TlsContextOptions = {},
  env: Environment = process.env,
): TlsOptions {
  const { protocol = 'TLS', verify = true, ca, cert, key, passphrase } = options
  const { enableLegacyServerConnect = legacyConnectFrom(env) } = options
  if (!PROTOCOLS.includes(protocol)) {
    const accepted = PROTOCOLS.join(', ')
    throw new ConfigError('protocol', `Cannot use protocol ${protocol}: expected ${accepted}`)
  }
  // `verify: 'false'` out of a settings file would verify, `0` would not: neither is meant.
  checkBoolean('verify', verify)
  checkBoolean('enableLegacyServerConnect', enableLegacyServerConnect)
  return Object.freeze({
    ...(protocol === 'TLS' ? {} : { minVersion: protocol }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(enableLegacyServerConnect ? { legacyServerConnect: true } : {}),
    ...(verify ? {} : { insecure: true }),
  })
}

/** `1` and `true` allow it, everything else does not. */
function legacyConnectFrom(env: Environment): boolean {
  const name = LEGACY_CONNECT_VARIABLES.find((variable) => (env[variable] ?? '') !== '')
  return name !== undefined && ['1', 'true'].includes((env[name] ?? '').trim().toLowerCase())
}

function checkBoolean(name: string, value: unknown): void {
  if (typeof value === 'boolean') return
  throw new TypeError(`Cannot use ${name}: expected a boolean, got ${typeof value}`)
}

/** The Bearer scheme: a token with every request. */
import { ConfigError } from '../../errors.ts'
import type { Interceptor } from '../interceptor.ts'
import { type CredentialScope, credentialTest } from './credential-scope.ts'

// RFC 6750 §2.1: b64token
const BEARER_TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/

/**
 * Adds `Authorization: Bearer …` (RFC 6750 §2.1) to requests without an Authorization of their own.
 * A function is asked for the token of each request.
 * @throws {ConfigError} when a token cannot stand in the field, here or when it is asked for
 */
export function bearerAuth(
  token: string | (() => string | Promise<string>),
  scope: CredentialScope = {},
): Interceptor {
  const wants = credentialTest(scope)
  const fixed = typeof token === 'string' ? formatBearer(token) : undefined
  return {
    async preRequest(request) {
      if (!wants(request)) return undefined
      const value = fixed ?? formatBearer(await (token as () => string | Promise<string>)())
      return request.withHeader('Authorization', value)
    },
  }
}

/**
 * Gives the value of Authorization; it is a secret.
 * @throws {ConfigError} when the token cannot stand in the field
 */
export function formatBearer(token: string): string {
  if (typeof token === 'string' && BEARER_TOKEN.test(token)) return `Bearer ${token}`
  throw new ConfigError('token', 'Cannot use the token: expected letters, digits and -._~+/=')
}

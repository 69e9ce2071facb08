/** The Basic scheme: user and password with every request. */
import { ConfigError } from '../../errors.ts'
import { formatBasicCredentials } from '../../protocol/semantics/basic-credentials.ts'
import type { Interceptor } from '../interceptor.ts'
import { type CredentialScope, credentialTest } from './credential-scope.ts'

/** Who is asking. */
export interface PasswordCredentials {
  readonly username: string
  readonly password: string
}

/**
 * Adds `Authorization: Basic …` (RFC 7617) to requests without an Authorization of their own, before
 * the server asks. The password can be read by whoever sees the request: use https.
 * @throws {ConfigError} when the name holds a colon, or either a control character (RFC 7617 §2)
 */
export function basicAuth(
  credentials: PasswordCredentials,
  scope: CredentialScope = {},
): Interceptor {
  const wants = credentialTest(scope)
  checkCredentials(credentials)
  const value = formatBasicCredentials(credentials)
  return {
    preRequest: (request) =>
      wants(request) ? request.withHeader('Authorization', value) : undefined,
  }
}

function checkCredentials({ username, password }: PasswordCredentials): void {
  if (username.includes(':')) {
    throw new ConfigError('username', 'Cannot use the username: Basic has no way to send a colon')
  }
  if (/[\x00-\x1f\x7f]/.test(username + password)) {
    throw new ConfigError('password', 'Cannot use the credentials: they hold a control character')
  }
}

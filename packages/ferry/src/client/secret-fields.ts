/** Which fields hold secrets, by what they are called: they never cross origins, and no log shows them. Pure. */

import type { HeaderFields } from '../protocol/semantics/header-fields.ts'

const CREDENTIAL_FIELDS: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'authentication-info',
  'proxy-authentication-info',
  'cookie',
  'set-cookie',
])
/** What fields of one's own that are secret are called. */
const SECRET_NAME =
  /(?:^|[-_])(?:key|auth|session)(?:[-_]|$)|api-?key|token|secret|credential|passw|session-?id|signature/i

/** Whether a field of this name holds credentials, or is named like one that does. */
export function isSecretField(name: string): boolean {
  return CREDENTIAL_FIELDS.has(name.toLowerCase()) || SECRET_NAME.test(name)
}

/**
 * Fields that may go to another origin than the one they were meant for: none that holds secrets, none
 * of `secretHeaders`, and not the name of the other host.
 */
export function withoutSecrets(
  headers: HeaderFields,
  secretHeaders: readonly string[],
): HeaderFields {
  return headers.without(...headers.names.filter(isSecretField), ...secretHeaders, 'host')
}

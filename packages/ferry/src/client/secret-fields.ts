/** Which fields hold secrets, by what they are called: they never cross origins, and no log shows them. Pure. */

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

/**
 * To whom credentials go: the origins that the program named, or every one that it sends a request to
 * itself. Redirections come later, in the client, which drops Authorization when the origin changes.
 */
import { HttpUrl } from '../../transport/http-url.ts'
import type { HttpRequest } from '../../transport/http-request.ts'

/** What the interceptors that add credentials have in common. */
export interface CredentialScope {
  /**
   * URLs whose origins get the credentials.
   * @defaultValue every origin that the program itself sends a request to
   */
  readonly origins?: readonly (string | URL | HttpUrl)[] | undefined
}

/** Whether a request gets credentials: it has none of its own, and goes to an origin that may see them. */
export type CredentialTest = (request: HttpRequest) => boolean

/**
 * Makes the test for a scope.
 * @throws {ConfigError} when an origin is no http or https URL
 */
export function credentialTest({ origins }: CredentialScope): CredentialTest {
  const keys = origins && new Set(origins.map((url) => HttpUrl.parse(url).origin.key))
  return ({ headers, url }) =>
    !headers.has('authorization') && (keys === undefined || keys.has(url.origin.key))
}

/**
 * Bearer tokens that run out: a new one is fetched once, however many requests need it.
 *
 *     token → send → 401 → is there a newer one? ─ yes → send again, once
 *                                └ no → refresh, all of them together ┘
 */
import type { HttpRequest } from '../../transport/http-request.ts'
import type { Interceptor } from '../interceptor.ts'
import { abortable } from '../../clock.ts'
import { formatBearer } from './bearer-auth.ts'
import { type CredentialScope, credentialTest } from './credential-scope.ts'
import { discardBody } from './discard-body.ts'

/** Where tokens come from. */
export interface RefreshingAuthOptions extends CredentialScope {
  /** The token in use; asked for each request. */
  getToken(): string | Promise<string>
  /**
   * Fetches the token that follows `token`, and keeps it for `getToken`. Called once at a time; all
   * requests that need it wait, and fail with what it throws. The next one tries again.
   */
  refresh(token: string): Promise<string>
  /** Whether a token is known to have run out: then it is not sent. @defaultValue none is */
  isExpired?(token: string): boolean
}

/**
 * Adds `Authorization: Bearer …` to requests without an Authorization of their own, and after a 401
 * sends them once more with a newer token. Gives the 401 when that brings another one, when the
 * content cannot be sent again, and when it is another origin's, after a redirection. `refresh` must
 * not send its request through this interceptor without an Authorization of its own: it would wait
 * for itself.
 */
export function refreshingAuth(options: RefreshingAuthOptions): Interceptor {
  const wants = credentialTest(options)
  const tokens = new TokenSource(options)
  return {
    async preRequest(request, context) {
      if (!wants(request)) return undefined
      const { signal } = context
      const token = await tokens.current(signal)
      const response = await context.send(authorize(request, token))
      if (response.status !== 401) return response
      if (response.url.origin.key !== request.url.origin.key) return response
      if (!request.replayable) {
        // The caller may begin anew with what it has; then the new token should be there.
        tokens.after(token, signal).catch(() => {})
        return response
      }
      await discardBody(response)
      return context.send(authorize(request, await tokens.after(token, signal)))
    },
  }
}

function authorize(request: HttpRequest, token: string): HttpRequest {
  return request.withHeader('Authorization', formatBearer(token))
}

/** The token in use, and at most one refresh at a time. */
class TokenSource {
  readonly #options: RefreshingAuthOptions
  #refreshing: Promise<string> | undefined
  /** The last refresh: `getToken` may be slower to learn of it. */
  #replaced: { readonly old: string; readonly token: string } | undefined

  constructor(options: RefreshingAuthOptions) {
    this.#options = options
  }

  /** A token that is not known to have run out. */
  async current(signal: AbortSignal | undefined): Promise<string> {
    const token = await this.#get()
    return this.#options.isExpired?.(token) === true ? this.after(token, signal) : token
  }

  /** The token that follows `rejected`. */
  async after(rejected: string, signal: AbortSignal | undefined): Promise<string> {
    // Asked first: of those whose 401 comes late, the refresh may be over already.
    const token = this.#refreshing === undefined ? await this.#get() : rejected
    if (token !== rejected) return token
    this.#refreshing ??= this.#refresh(rejected)
    return abortable(this.#refreshing, signal)
  }

  async #get(): Promise<string> {
    const token = await this.#options.getToken()
    return token === this.#replaced?.old ? this.#replaced.token : token
  }

  #refresh(old: string): Promise<string> {
    // In a later turn, so that the end always finds the beginning noted.
    return Promise.resolve()
      .then(() => this.#options.refresh(old))
      .then((token) => {
        this.#replaced = { old, token }
        return token
      })
      .finally(() => (this.#refreshing = undefined))
  }
}

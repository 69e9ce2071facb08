/**
 * The Digest scheme (RFC 7616): proves that both ends know the password, without sending it.
 *
 * Owns the last challenge of each origin, from which later requests answer before they are asked, and
 * how often its nonce was used. `digest-response.ts` does the arithmetic.
 */
import { randomBytes } from 'node:crypto'
import type { HttpRequest } from '../../transport/http-request.ts'
import type { HttpResponse } from '../../transport/http-response.ts'
import type { Interceptor } from '../interceptor.ts'
import type { PasswordCredentials } from './basic-auth.ts'
import { parseChallenges } from './challenge.ts'
import { type CredentialScope, credentialTest } from './credential-scope.ts'
import {
  chooseDigestChallenge,
  type DigestChallenge,
  formatDigestCredentials,
} from './digest-response.ts'
import { discardBody } from './discard-body.ts'

// Without credentials, with them, with those for where a redirection led, and with a newer nonce.
const MAX_SENDS = 4
const MAX_ORIGINS = 256
const CNONCE_BYTES = 16
const NO_CONTENT = new Uint8Array()

/**
 * Answers a 401 that asks for Digest by sending the request again with credentials; later requests to
 * the origin carry them at once. Takes the strongest of SHA-512-256, SHA-256 and MD5 that is offered.
 *
 * Gives the 401 when it asks for something else, when it does not accept the answer, when the content
 * cannot be sent again, and when it is another origin's, after a redirection. `auth-int` is used only
 * where the server takes nothing else, and the content is in memory.
 */
export function digestAuth(
  credentials: PasswordCredentials,
  scope: CredentialScope = {},
): Interceptor {
  const wants = credentialTest(scope)
  const sessions = new DigestSessions(credentials)
  return {
    async preRequest(request, context) {
      if (!wants(request)) return undefined
      let target = request
      let session = sessions.find(target)
      for (let sends = 1; ; sends++) {
        const response = await context.send(session?.sign(target) ?? target)
        if (response.url.origin.key !== request.url.origin.key) return response
        const next = findAskedRequest(target, response)
        // Apache answers credentials for another target than that of the request with 400.
        const isMisdirected = response.status === 400 && next !== target
        const isRefused = sends > 1 && next === target
        const answer = isMisdirected ? session : sessions.learn(response, session, isRefused)
        if (answer === undefined || next === undefined || sends === MAX_SENDS) return response
        if (!answer.canSign(next)) return response
        await discardBody(response)
        target = next
        session = answer
      }
    },
  }
}

/**
 * The request that the server answered: credentials name its target, so after a redirection within the
 * origin they have to be made anew. Undefined when it cannot be sent again, or is not known.
 */
function findAskedRequest(request: HttpRequest, { url }: HttpResponse): HttpRequest | undefined {
  if (!request.replayable) return undefined
  if (url.href === request.url.href) return request
  // A redirection may have changed any other method.
  return request.method === 'GET' || request.method === 'HEAD' ? request.withUrl(url) : undefined
}

/** The sessions of all origins, the one begun last at the end. */
class DigestSessions {
  readonly #credentials: PasswordCredentials
  readonly #sessions = new Map<string, DigestSession>()

  constructor(credentials: PasswordCredentials) {
    this.#credentials = credentials
  }

  /** The session that signs a request before it is asked for that. */
  find(request: HttpRequest): DigestSession | undefined {
    const session = this.#sessions.get(request.url.origin.key)
    return session?.canSign(request) === true ? session : undefined
  }

  /** Reads what a response says; gives the session to answer it with, undefined for no answer. */
  learn(
    { status, headers, url }: HttpResponse,
    used: DigestSession | undefined,
    isRefused: boolean,
  ): DigestSession | undefined {
    const { key } = url.origin
    if (status !== 401) {
      const nonce = readNextNonce(headers.getAll('authentication-info'))
      if (nonce !== undefined && used !== undefined) this.#keep(key, used.withNonce(nonce))
      return undefined
    }
    const challenge = chooseDigestChallenge(parseChallenges(headers.getAll('www-authenticate')))
    if (challenge === undefined || (isRefused && !challenge.stale)) {
      // Another call may have begun a better one meanwhile.
      if (this.#sessions.get(key) === used) this.#sessions.delete(key)
      return undefined
    }
    const session = new DigestSession(this.#credentials, challenge)
    this.#keep(key, session)
    return session
  }

  #keep(key: string, session: DigestSession): void {
    this.#sessions.delete(key)
    this.#sessions.set(key, session)
    const [oldest] = this.#sessions.keys()
    if (this.#sessions.size > MAX_ORIGINS && oldest !== undefined) this.#sessions.delete(oldest)
  }
}

/** The uses of one nonce. */
class DigestSession {
  readonly #credentials: PasswordCredentials
  readonly #challenge: DigestChallenge
  readonly #cnonce = randomBytes(CNONCE_BYTES).toString('hex')
  #count = 0

  constructor(credentials: PasswordCredentials, challenge: DigestChallenge) {
    this.#credentials = credentials
    this.#challenge = challenge
  }

  withNonce(nonce: string): DigestSession {
    return new DigestSession(this.#credentials, { ...this.#challenge, nonce })
  }

  /** `auth-int` covers the content, which must be there before the head is sent. */
  canSign({ content }: HttpRequest): boolean {
    const takesAuth = this.#challenge.qop[0] !== 'auth-int'
    return takesAuth || content === undefined || content instanceof Uint8Array
  }

  /** Adds the credentials; only where `canSign` says so. */
  sign(request: HttpRequest): HttpRequest {
    const { method, requestTarget, content } = request
    const value = formatDigestCredentials(this.#challenge, {
      ...this.#credentials,
      method,
      uri: requestTarget,
      qop: this.#challenge.qop[0],
      // RFC 7616 §3.4: requests with one nonce are counted, which shows a repeated one.
      count: ++this.#count,
      cnonce: this.#cnonce,
      content: content instanceof Uint8Array ? content : NO_CONTENT,
    })
    return request.withHeader('Authorization', value)
  }
}

/** The nonce that Authentication-Info announces (RFC 7616 §3.5); its value has the form of a challenge. */
function readNextNonce(lines: readonly string[]): string | undefined {
  const [info] = parseChallenges(lines.map((line) => `Digest ${line}`))
  return info?.params.get('nextnonce')
}

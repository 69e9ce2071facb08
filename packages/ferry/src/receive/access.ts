/**
 * Who may ask for what, and how often: keys with their scopes and doors, a limit on requests, and one
 * on wrong keys. Decides over values; what it refuses it gives the answer to.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Clock } from '../clock.ts'
import { ConfigError } from '../errors.ts'
import type { DoorAnswer } from './doors/door-answer.ts'
import { type ApiKey, hasScope, type KeyRing, type KeyScope } from './keys.ts'
import { peerOf, RequestRate } from './request-rate.ts'
import type { DoorName } from './upload-route.ts'

/** How much may be asked of a server. */
export interface RequestLimits {
  /** Of one owner of keys; without keys, of one address. More get 429. @defaultValue none */
  readonly requestsPerSecond?: number
  /** Requests that may come at once. @defaultValue as many as in a second, at least 1 */
  readonly burst?: number
  /** Of content, of one owner or address: what comes faster is held back. @defaultValue none */
  readonly bytesPerSecond?: number
  /**
   * From one address; after so many, no key from there is looked at for a while, except those that
   * were right from there before. They get 429. @defaultValue 30
   */
  readonly wrongKeysPerMinute?: number
}

/** What is looked at. */
export interface AskedRequest {
  readonly method: string
  readonly headers: IncomingHttpHeaders
  /** The peer's. */
  readonly address: string
  /** Below the mount; undefined for what is not below it. */
  readonly path: string | undefined
  /** Undefined for what no door knows. */
  readonly door: DoorName | undefined
  /** Nobody needs a key for it. */
  readonly isPublic: boolean
}

/** What came of it. */
export type Admission =
  | {
      readonly type: 'admitted'
      readonly owner: string | undefined
      /** Who shares a limit with it. */
      readonly who: string
    }
  | { readonly type: 'refused'; readonly answer: DoorAnswer }

// From one address, of those that were right before; of more the oldest are forgotten.
const MAX_TRUSTED = 10_000

/** What is let in, and how time is told. */
export interface AccessOptions {
  /** Undefined for everybody. */
  readonly keys: KeyRing | undefined
  readonly limits: RequestLimits
  readonly clock: Clock
}

/** What a server lets in. */
export class Access {
  readonly #keys: KeyRing | undefined
  readonly #clock: Clock
  readonly #requests: RequestRate | undefined
  readonly #wrongKeys: RequestRate
  /** Address and owner of keys that were right. */
  readonly #trusted = new Set<string>()

  /** @throws {ConfigError} requestsPerSecond, burst, wrongKeysPerMinute */
  constructor({ keys, limits, clock }: AccessOptions) {
    const { requestsPerSecond, wrongKeysPerMinute = 30 } = limits
    const { burst = Math.max(1, Math.ceil(requestsPerSecond ?? 1)) } = limits
    for (const [option, value] of Object.entries({
      requestsPerSecond,
      burst,
      wrongKeysPerMinute,
    })) {
      if (value === undefined || value > 0) continue
      throw new ConfigError(option, `Cannot use ${value}: expected a number above 0`)
    }
    this.#keys = keys
    this.#clock = clock
    this.#requests =
      requestsPerSecond === undefined
        ? undefined
        : new RequestRate({ perSecond: requestsPerSecond, burst: Math.max(1, burst) })
    this.#wrongKeys = new RequestRate({
      perSecond: wrongKeysPerMinute / 60,
      burst: Math.max(1, wrongKeysPerMinute),
    })
  }

  admit(asked: AskedRequest): Admission {
    const peer = peerOf(asked.address)
    const found = asked.isPublic ? undefined : this.#findKey(asked, peer)
    if (found !== undefined && 'status' in found) return { type: 'refused', answer: found }
    const owner = found?.owner
    const who = owner === undefined ? `address ${peer}` : `owner ${owner}`
    const waitMs = this.#requests?.take(who, this.#clock.now()) ?? 0
    if (waitMs > 0) {
      return { type: 'refused', answer: tooMany('Cannot take so many requests', waitMs) }
    }
    if (found !== undefined && !permits(found, asked)) return { type: 'refused', answer: FORBIDDEN }
    return { type: 'admitted', owner, who }
  }

  /** The key that a request has; undefined where none is needed. */
  #findKey({ headers }: AskedRequest, peer: string): ApiKey | DoorAnswer | undefined {
    if (this.#keys === undefined) return undefined
    const text = bearerOf(headers)
    if (text === undefined) return unauthorized('Bearer')
    const key = this.#keys.find(text)
    const now = this.#clock.now()
    const waitMs = this.#wrongKeys.waitMs(peer, now)
    const isTrusted = key !== undefined && this.#trusted.has(trustOf(peer, key))
    if (waitMs > 0 && !isTrusted) return tooMany('Cannot look at more keys from there', waitMs)
    if (key === undefined) {
      this.#wrongKeys.take(peer, now)
      return unauthorized('Bearer error="invalid_token"')
    }
    this.#trust(trustOf(peer, key))
    return key
  }

  #trust(who: string): void {
    this.#trusted.delete(who)
    this.#trusted.add(who)
    const [oldest] = this.#trusted
    if (this.#trusted.size > MAX_TRUSTED) this.#trusted.delete(oldest as string)
  }
}

/** What a request needs to be allowed to do. */
export function scopeOf({ door, method, path, headers }: Omit<AskedRequest, 'address'>): KeyScope {
  if (path === '/rotate-keys') return 'admin'
  // A client of tus may say what it means in a field of its own.
  const told = door === 'tus' ? headers['x-http-method-override'] : undefined
  const meant = typeof told === 'string' ? told.toUpperCase() : method
  return meant === 'GET' || meant === 'HEAD' ? 'status' : 'upload'
}

function permits(key: ApiKey, asked: AskedRequest): boolean {
  // What there is not, nobody needs a key for.
  if (asked.door === undefined) return true
  return (key.doors ?? [asked.door]).includes(asked.door) && hasScope(key, scopeOf(asked))
}

/** RFC 6750 §2.1; the name of the scheme is in any case (RFC 9110 §11.1). */
function bearerOf({ authorization = '' }: IncomingHttpHeaders): string | undefined {
  return /^Bearer +(\S+)$/i.exec(authorization)?.[1]
}

function trustOf(peer: string, { owner, sha256 }: ApiKey): string {
  return `${peer} ${sha256} ${owner}`
}

const JSON_TYPE = { 'Content-Type': 'application/json' } as const

/** In the words of IndexedCP; what is wrong stands in the challenge (RFC 6750 §3). */
function unauthorized(challenge: string): DoorAnswer {
  return {
    status: 401,
    fields: { ...JSON_TYPE, 'WWW-Authenticate': challenge },
    body: JSON.stringify({ error: 'Invalid or missing API key' }),
  }
}

const FORBIDDEN: DoorAnswer = {
  status: 403,
  fields: { ...JSON_TYPE, 'WWW-Authenticate': 'Bearer error="insufficient_scope"' },
  body: JSON.stringify({ error: 'Forbidden', message: 'Cannot do that with this key' }),
}

/** RFC 6585 §4. */
function tooMany(message: string, waitMs: number): DoorAnswer {
  return {
    status: 429,
    fields: { ...JSON_TYPE, 'Retry-After': String(Math.ceil(waitMs / 1000)) },
    body: JSON.stringify({ error: 'Too many requests', message }),
  }
}

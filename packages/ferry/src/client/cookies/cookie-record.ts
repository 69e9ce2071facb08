/** One cookie as plain values: what jars and cookie files exchange. */
import { ConfigError } from '../../errors.ts'

/** A cookie. Its value may be a secret. */
export interface CookieRecord {
  readonly name: string
  readonly value: string
  /** Without a dot before it. */
  readonly domain: string
  readonly path: string
  /** Whether it goes to that host alone, and to none below it. */
  readonly hostOnly: boolean
  /** Whether it goes out over https alone. */
  readonly secure: boolean
  readonly httpOnly: boolean
  /** In epoch ms; undefined for the end of the session. */
  readonly expiresAt?: number | undefined
}

/**
 * Reads what `toJSON()` of a jar gave, parsed.
 * @throws {ConfigError} when it is something else
 */
export function toCookieRecords(value: unknown): CookieRecord[] {
  if (Array.isArray(value) && value.every(isCookieRecord)) return value
  throw new ConfigError('cookies', 'Cannot use the cookies: expected a list of cookie records')
}

const KEYS: Readonly<Record<keyof CookieRecord, readonly string[]>> = {
  name: ['string'],
  value: ['string'],
  domain: ['string'],
  path: ['string'],
  hostOnly: ['boolean'],
  secure: ['boolean'],
  httpOnly: ['boolean'],
  expiresAt: ['number', 'undefined'],
}

function isCookieRecord(value: unknown): value is CookieRecord {
  if (typeof value !== 'object' || value === null) return false
  const record = value as Readonly<Record<string, unknown>>
  return Object.entries(KEYS).every(([key, types]) => types.includes(typeof record[key]))
}

/** Validators: what tells one version of a representation from another (RFC 9110 §8.8). */
import { parseHttpDate } from './http-date.ts'
import type { HeaderFields } from './header-fields.ts'

/** The strong validators of a representation; an absent one was not given or is weak. */
export interface Validators {
  /** A strong entity tag, quotes included. */
  readonly etag?: string
  /** An HTTP-date that is strong by the rule of RFC 9110 §8.8.2.2. */
  readonly lastModified?: string
}

// RFC 9110 §8.8.3: entity-tag = [ weak ] DQUOTE *etagc DQUOTE
const STRONG_ETAG = /^"[\x21\x23-\x7e\x80-\xff]*"$/
// A second date within this time of the first could hide a second change.
const STRONG_AFTER_MS = 1000

/** Picks the strong validators of a response. */
export function validatorsOf(headers: HeaderFields): Validators {
  const etag = headers.get('etag')
  const lastModified = headers.get('last-modified')
  return {
    ...(etag !== undefined && STRONG_ETAG.test(etag) ? { etag } : {}),
    ...(lastModified !== undefined && isStrongDate(lastModified, headers.get('date'))
      ? { lastModified }
      : {}),
  }
}

/** Whether a representation can be told from another at all. */
export function hasValidator(validators: Validators): boolean {
  return validators.etag !== undefined || validators.lastModified !== undefined
}

function isStrongDate(lastModified: string, date: string | undefined): boolean {
  const modifiedAt = parseHttpDate(lastModified)
  const sentAt = date === undefined ? undefined : parseHttpDate(date)
  if (modifiedAt === undefined || sentAt === undefined) return false
  return sentAt - modifiedAt >= STRONG_AFTER_MS
}

/** Validators: what tells one version of a representation from another (RFC 9110 §8.8). */
import { parseHttpDate } from './http-date.ts'
import type { HeaderFields } from './header-fields.ts'

/** The validators of a representation; an absent one was not given. */
export interface Validators {
  /** A strong entity tag, quotes included. */
  readonly etag?: string
  /**
   * An entity tag that is weak, or that breaks the grammar, as it came. Being the same proves
   * nothing; being another says that the representation has changed.
   */
  readonly weakEtag?: string
  /** An HTTP-date that is strong by the rule of RFC 9110 §8.8.2.2. */
  readonly lastModified?: string
}

// RFC 9110 §8.8.3: entity-tag = [ weak ] DQUOTE *etagc DQUOTE
const STRONG_ETAG = /^"[\x21\x23-\x7e\x80-\xff]*"$/
// A second date within this time of the first could hide a second change.
const STRONG_AFTER_MS = 1000

/** Picks the validators of a response. */
export function validatorsOf(headers: HeaderFields): Validators {
  const etag = headers.get('etag')
  const lastModified = headers.get('last-modified')
  return {
    ...(etag === undefined ? {} : STRONG_ETAG.test(etag) ? { etag } : { weakEtag: etag }),
    ...(lastModified !== undefined && isStrongDate(lastModified, headers.get('date'))
      ? { lastModified }
      : {}),
  }
}

/** Whether two entity tags agree by the weak comparison of RFC 9110 §8.8.3.2. */
export function weaklyMatches(one: string, other: string): boolean {
  return one.replace(/^W\//, '') === other.replace(/^W\//, '')
}

/** Whether a strong validator tells a representation from any other. */
export function hasValidator(validators: Validators): boolean {
  return validators.etag !== undefined || validators.lastModified !== undefined
}

function isStrongDate(lastModified: string, date: string | undefined): boolean {
  const modifiedAt = parseHttpDate(lastModified)
  const sentAt = date === undefined ? undefined : parseHttpDate(date)
  if (modifiedAt === undefined || sentAt === undefined) return false
  return sentAt - modifiedAt >= STRONG_AFTER_MS
}

/**
 * What makes two responses parts of the same representation: size and validators.
 * Pure; the one place that decides whether bytes may be put together.
 */
import type { HeaderFields } from '../protocol/semantics/header-fields.ts'
import {
  hasValidator,
  type Validators,
  validatorsOf,
  weaklyMatches,
} from '../protocol/semantics/validator.ts'

/** One version of the file at a server. */
export interface Identity extends Validators {
  /** Bytes in all; undefined when the server does not tell. */
  readonly size?: number
}

/** The identity that a response claims; `size` is that of the whole representation. */
export function identityOf(headers: HeaderFields, size: number | undefined): Identity {
  return { ...validatorsOf(headers), ...(size === undefined ? {} : { size }) }
}

/** Whether a later response can bring what is missing: where that is has to be known. */
export function canBeContinued(identity: Identity): boolean {
  return identity.size !== undefined
}

/**
 * Whether the server tells this version from any other. Where it does not, what has come is compared
 * with a part of each later response.
 */
export function isTold(identity: Identity): boolean {
  return hasValidator(identity)
}

// MD5, as object stores give it, is the shortest digest in use.
const CONTENT_DIGEST = /[0-9a-f]{32}/i

/**
 * Whether the identity says what the content is, not only which version of one resource: the entity
 * tag holds a digest. Otherwise equal tags of two URLs mean nothing: nginx makes them from size and
 * time.
 */
export function namesContent({ etag }: Identity): boolean {
  return etag !== undefined && CONTENT_DIGEST.test(etag)
}

/** Whether both say what the content is, and the same. */
export function haveSameContent(one: Identity, other: Identity): boolean {
  return namesContent(one) && one.etag === other.etag && one.size === other.size
}

/** The value of If-Range for this version (RFC 9110 §13.1.5): the entity tag before the date. */
export function ifRangeOf(identity: Identity): string | undefined {
  return identity.etag ?? identity.lastModified
}

/**
 * What differs between a version and a later response, as words for a message; undefined when
 * nothing does.
 * @param isProvable the finished file is compared with a digest: servers that make an entity tag each
 * of one file may then do so
 */
export function describeChange(
  known: Identity,
  headers: HeaderFields,
  size: number | undefined,
  isProvable = false,
): string | undefined {
  if (known.size !== undefined && size !== undefined && known.size !== size) {
    return `its size changed from ${known.size} to ${size}`
  }
  const etag = headers.get('etag')
  const hasOwnTags =
    isProvable &&
    known.lastModified !== undefined &&
    headers.get('last-modified') === known.lastModified
  if (known.etag !== undefined && etag !== known.etag && !hasOwnTags) {
    return `its ETag changed from ${known.etag} to ${etag ?? 'none'}`
  }
  // One that is left out of some responses is no sign of a change: Last-Modified decides then.
  if (known.weakEtag !== undefined && etag !== undefined && !weaklyMatches(known.weakEtag, etag)) {
    return `its ETag changed from ${known.weakEtag} to ${etag}`
  }
  const lastModified = headers.get('last-modified')
  if (known.lastModified !== undefined && lastModified !== undefined) {
    if (lastModified === known.lastModified) return undefined
    return `its Last-Modified changed from ${known.lastModified} to ${lastModified}`
  }
  const wasDated = known.etag === undefined && known.lastModified !== undefined
  return wasDated ? 'it no longer says when it was modified' : undefined
}

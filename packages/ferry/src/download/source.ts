/**
 * Where a partial file's bytes are from, told without a secret: the URL without its query, and of the
 * query, which may hold a token, only a salted digest. Equal entity tags of two URLs mean nothing
 * (RFC 9110 §8.8.3), so bytes of one are never continued with bytes of another; see
 * decisions/0008-sources.md.
 */
import type { HttpUrl } from '../transport/http-url.ts'
import { type Identity, namesContent } from './identity.ts'

/** What is kept of a URL. */
export interface Source {
  /** Without user, password and query. */
  readonly url: string
  /** Random and hexadecimal; there when the URL has a query, as is the digest. */
  readonly salt?: string
  /** SHA-256 of the salt and the whole URL, hexadecimal. */
  readonly queryDigest?: string
}

// As long as the digest is strong against tables: 128 bit.
const SALT_BYTES = 16

/** What to keep of a URL. */
export async function sourceOf(url: HttpUrl): Promise<Source> {
  const withoutQuery = urlWithoutQuery(url)
  if (withoutQuery === url.href) return { url: withoutQuery }
  // Loaded here: most URLs have no query, and loading it takes as long as all of our modules.
  const { randomBytes } = await import('node:crypto')
  const salt = randomBytes(SALT_BYTES).toString('hex')
  return { url: withoutQuery, salt, queryDigest: await digestOf(salt, url) }
}

/**
 * Whether what was fetched from `source` may be continued from `url`: the same URL, or one that
 * differs in its query only, as signed URLs do, where the identity names the content.
 */
export async function mayContinueFrom(
  source: Source,
  url: HttpUrl,
  identity: Identity,
): Promise<boolean> {
  if (source.url !== urlWithoutQuery(url)) return false
  return namesContent(identity) || (await hasSameQuery(source, url))
}

async function hasSameQuery(
  { url: known, salt, queryDigest }: Source,
  url: HttpUrl,
): Promise<boolean> {
  if (salt === undefined || queryDigest === undefined) return url.href === known
  return (await digestOf(salt, url)) === queryDigest
}

function urlWithoutQuery({ href }: HttpUrl): string {
  return href.split('?', 1)[0] as string
}

async function digestOf(salt: string, { href }: HttpUrl): Promise<string> {
  const { createHash } = await import('node:crypto')
  return createHash('sha256').update(salt).update(href).digest('hex')
}

/**
 * Mirrors that the fields of a response name: Metalink/HTTP (RFC 6249). Pure.
 *
 * A mirror's content is somebody else's; without a digest of the whole file nobody could tell whether
 * it is the same.
 */
import type { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import { type Link, parseLinks } from '../../protocol/semantics/link.ts'
import { HttpUrl } from '../../transport/http-url.ts'
import { firstOfEachUrl, LOWEST_PRIORITY, type MetalinkUrl } from './metalink.ts'

/** Another place where the same file is. */
export interface Mirror extends MetalinkUrl {
  /** The server says that it has the same validators there (RFC 6249 §3.3). */
  readonly preferred: boolean
}

/** What a response tells of other places. */
export interface MirrorLinks {
  /** Best first, each once, without the URL itself; none without a digest. */
  readonly mirrors: readonly Mirror[]
  /** Where a Metalink document describes the file. */
  readonly metalinks: readonly HttpUrl[]
}

// More than any list of mirrors that is meant to be used.
const MAX_LINKS = 1000
const METALINK_TYPES: readonly string[] = ['application/metalink4+xml', 'application/metalink+xml']

/** Reads the links of a response. */
export function mirrorsFrom(
  fields: HeaderFields,
  options: {
    /** That of the response, after redirects. */
    readonly url: HttpUrl
    /**
     * Whether a digest of the whole file is known: from this response or from the user. RFC 6249 §6:
     * without one, the links MUST be ignored.
     */
    readonly hasDigest: boolean
  },
): MirrorLinks {
  if (!options.hasDigest) return { mirrors: [], metalinks: [] }
  const links = fields
    .getAll('link')
    .flatMap((field) => parseLinks(field))
    .slice(0, MAX_LINKS)
    .flatMap((link) => resolve(link, options.url))
  const mirrors = links
    .filter(({ link }) => link.relations.includes('duplicate'))
    .filter(({ url }) => url.href !== options.url.href)
    .map(({ link, url }) => toMirror(link, url))
    .toSorted(compare)
  return {
    mirrors: firstOfEachUrl(mirrors),
    metalinks: links.filter(({ link }) => describesByMetalink(link)).map(({ url }) => url),
  }
}

/** None when the link is of another thing than the response (RFC 8288 §3.2), or not for HTTP. */
function resolve(link: Link, base: HttpUrl): { readonly link: Link; readonly url: HttpUrl }[] {
  if (link.parameters.has('anchor')) return []
  try {
    return [{ link, url: HttpUrl.parse(link.target, base) }]
  } catch {
    return []
  }
}

function toMirror({ parameters }: Link, url: HttpUrl): Mirror {
  const priority = /^[1-9]\d{0,5}$/.exec(parameters.get('pri') ?? '')?.[0]
  const location = parameters.get('geo')?.toLowerCase() ?? ''
  return {
    url,
    priority: priority === undefined ? LOWEST_PRIORITY : Number(priority),
    location: location === '' ? undefined : location,
    preferred: parameters.has('pref'),
  }
}

function compare(one: Mirror, other: Mirror): number {
  return one.priority - other.priority || Number(other.preferred) - Number(one.preferred)
}

function describesByMetalink({ relations, parameters }: Link): boolean {
  const type = parameters.get('type')?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  return relations.includes('describedby') && METALINK_TYPES.includes(type)
}

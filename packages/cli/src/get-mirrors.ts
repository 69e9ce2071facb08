/**
 * Asks a server where else a file is, before it is fetched: Metalink/HTTP (RFC 6249). What it says
 * counts only beside a digest of the file, by which the mirrors are checked.
 */
import type { HttpClient } from 'ferry/client'
import { strongestChecksum } from 'ferry/download'
import { mirrorsFrom, parseMetalink, representationDigests } from 'ferry/download/lists'
import { isFerryError } from 'ferry/errors'
import { HttpUrl } from 'ferry/transport'
import type { GetClients } from './get-clients.ts'
import type { GetItem } from './get-item.ts'
import { factsOf } from './get-items.ts'

// RFC 6249 §6 asks for a digest; a server that has several gives the better one.
const QUESTION = [
  ['Want-Repr-Digest', 'sha-256=10, sha-512=5'],
  ['Want-Digest', 'SHA-256'],
  // A digest of coded content would be of other bytes.
  ['Accept-Encoding', 'identity'],
] as const

/** Adds what the server tells of mirrors, pieces and digests. Without any, the item stays as it is. */
export async function findMirrors(
  item: GetItem,
  sources: {
    readonly client: HttpClient
    readonly clients: GetClients
    /** Fields of every request. */
    readonly headers: readonly (readonly [string, string])[]
    readonly signal: AbortSignal
    /** Told why there are none. */
    readonly warn: (sentence: string) => void
  },
): Promise<GetItem> {
  const { client, signal, warn } = sources
  const fields = [...sources.headers, ...(item.settings.headers ?? [])]
  try {
    const { headers, status, url } = await client.head(item.urls[0] as string, {
      headers: [...fields, ...QUESTION],
      decompress: false,
      signal,
    })
    const checksum =
      item.settings.checksum ?? strongestChecksum(representationDigests(status, headers))
    const { mirrors, metalinks } = mirrorsFrom(headers, { url, hasDigest: checksum !== undefined })
    const described = { ...item, settings: { ...item.settings, checksum } }
    const told = withUrls(
      described,
      mirrors.map((mirror) => mirror.url.href),
    )
    const [metalink] = metalinks
    return metalink === undefined ? told : await addMetalink(told, metalink.href, sources)
  } catch (error) {
    if (!isFerryError(error)) throw error
    warn(`${error.message}; going on without mirrors`)
    return item
  }
}

async function addMetalink(
  item: GetItem,
  place: string,
  { clients, signal }: { readonly clients: GetClients; readonly signal: AbortSignal },
): Promise<GetItem> {
  const { text, url } = await clients.fetchList(place, { trusted: item.trusted, signal })
  const files = parseMetalink(text, url === undefined ? {} : { base: HttpUrl.parse(url) })
  const file = files.length === 1 ? files[0] : files.find(({ name }) => name === item.name)
  const facts = file === undefined ? {} : factsOf(file)
  const { checksum } = item.settings
  // The digest that is known tells which file is meant; a Metalink of another one is of no use.
  if (
    file === undefined ||
    (facts.checksum?.algorithm === checksum?.algorithm && facts.checksum?.hex !== checksum?.hex)
  ) {
    return item
  }
  const settings = { ...facts, ...item.settings }
  return withUrls(
    { ...item, settings },
    file.urls.map((one) => one.url.href),
  )
}

function withUrls(item: GetItem, more: readonly string[]): GetItem {
  return { ...item, urls: [...new Set([...item.urls, ...more])] }
}

/**
 * Reads Metalink documents: version 4 (RFC 5854), and version 3, which came before it and which
 * mirror lists of Linux distributions still use. One reader for both: version 3 has the same elements
 * in more layers, and prefers mirrors by a number that counts the other way round.
 *
 * Pure. A document that contradicts itself or names a hash that cannot be one is refused as a whole:
 * what it says of mirrors is not to be trusted more than what it says of the file.
 */
import { ConfigError } from '../../errors.ts'
import { HttpUrl } from '../../transport/http-url.ts'
import {
  algorithmNamed,
  type Checksum,
  readDigest,
  strongestChecksum,
} from '../integrity/checksum.ts'
import type { PieceHashes } from '../integrity/piece-checker.ts'
import { parseXml, type XmlElement } from './xml.ts'

/** A file as a Metalink document describes it. */
export interface MetalinkFile {
  /**
   * The last part of the name that the document gives: the folders before it are dropped. Not yet
   * safe to use, see `safeFileName`.
   */
  readonly name: string
  /** Bytes; undefined when the document does not say. */
  readonly size: number | undefined
  /** Digests of the whole file; those of unknown algorithms are left out. */
  readonly checksums: readonly Checksum[]
  /** As many as the size asks for, when the document tells it. */
  readonly pieces: PieceHashes | undefined
  /** Where the file is, best first; other schemes than http and https are left out. */
  readonly urls: readonly MetalinkUrl[]
  /** Where documents are that tell where the file is: torrents and other Metalinks. Best first. */
  readonly metaUrls: readonly MetalinkMetaUrl[]
}

export interface MetalinkUrl {
  readonly url: HttpUrl
  /** From 1, the best, to 999999. */
  readonly priority: number
  /** Country, two letters in lower case (ISO 3166-1). */
  readonly location: string | undefined
}

export interface MetalinkMetaUrl {
  readonly url: HttpUrl
  readonly priority: number
  /** `torrent`, or a media type. */
  readonly mediaType: string
}

/** RFC 5854 §4.2.16.1: also what a mirror without a priority has. */
export const LOWEST_PRIORITY = 999_999
// Version 3: from 0 to 100, the best.
const HIGHEST_PREFERENCE = 100

/**
 * Reads a document.
 * @param base where it comes from, for URLs that are relative to it
 * @throws {ConfigError} option `metalink`, when it is no Metalink, or a broken one
 */
export function parseMetalink(
  document: string | Uint8Array,
  { base }: { readonly base?: HttpUrl } = {},
): MetalinkFile[] {
  const root = parseXml(document, unreadable)
  if (root.name !== 'metalink') throw unreadable(`expected <metalink>, got <${root.name}>`)
  const files = childrenOf(within(root, 'files'), 'file')
  if (files.length === 0) throw unreadable('it describes no file')
  return files.map((file) => readFile(file, base))
}

/** The links without those to URLs that stand before in the list. */
export function firstOfEachUrl<Link extends { readonly url: HttpUrl }>(
  links: readonly Link[],
): Link[] {
  const seen = new Set<string>()
  return links.filter(({ url: { href } }) => seen.size < seen.add(href).size)
}

function readFile(element: XmlElement, base: HttpUrl | undefined): MetalinkFile {
  const name = element.attributes.get('name')?.split(/[/\\]/).at(-1)?.trim() ?? ''
  if (name === '') throw unreadable('a file has no name')
  const verified = within(element, 'verification')
  const links = childrenOf(within(element, 'resources'), 'url')
  const size = readSize(element, name)
  return {
    name,
    size,
    checksums: childrenOf(verified, 'hash').flatMap((hash) => readHash(hash, name)),
    pieces: strongest(
      childrenOf(verified, 'pieces').flatMap((pieces) => readPieces(pieces, { name, size })),
    ),
    urls: byPriority(links.filter(isForContent).flatMap((link) => readUrl(link, base))),
    metaUrls: byPriority([
      ...childrenOf([element], 'metaurl').flatMap((link) =>
        readMetaUrl(link, link.attributes.get('mediatype') ?? '', base),
      ),
      ...links
        .filter((link) => !isForContent(link))
        .flatMap((link) => readMetaUrl(link, 'torrent', base)),
    ]),
  }
}

/** The element itself, as in version 4, and its children that version 3 puts in between. */
function within(element: XmlElement, layer: string): XmlElement[] {
  return [element, ...childrenOf([element], layer)]
}

function childrenOf(elements: readonly XmlElement[], name: string): XmlElement[] {
  return elements.flatMap(({ children }) => children.filter((child) => child.name === name))
}

function readSize(element: XmlElement, name: string): number | undefined {
  const [first] = childrenOf([element], 'size')
  if (first === undefined || first.text === '') return undefined
  return readInteger(first.text) ?? refuse(name, `size ${JSON.stringify(first.text)}`)
}

/** None when the algorithm is not known, or there is no digest. */
function readHash({ attributes, text }: XmlElement, name: string): Checksum[] {
  const type = attributes.get('type') ?? ''
  const algorithm = algorithmNamed(type)
  if (algorithm === undefined || text === '') return []
  const hex = readDigest(algorithm, text) ?? refuse(name, `${type} digest`)
  return [{ algorithm, hex }]
}

/** None when the algorithm is not known. */
function readPieces(
  element: XmlElement,
  file: { readonly name: string; readonly size: number | undefined },
): PieceHashes[] {
  const type = element.attributes.get('type') ?? ''
  const algorithm = algorithmNamed(type)
  if (algorithm === undefined) return []
  const length = element.attributes.get('length') ?? ''
  const lengthBytes = readInteger(length) ?? 0
  if (lengthBytes === 0) refuse(file.name, `length of pieces ${JSON.stringify(length)}`)
  const hexes = childrenOf([element], 'hash').map(({ attributes, text }, index) => {
    // Version 3 counts them.
    if ((attributes.get('piece') ?? `${index}`) !== `${index}`) refuse(file.name, 'order of pieces')
    return readDigest(algorithm, text) ?? refuse(file.name, `${type} digest of piece ${index}`)
  })
  const expected = file.size === undefined ? hexes.length : Math.ceil(file.size / lengthBytes)
  if (hexes.length !== expected) {
    refuse(file.name, `number of pieces: expected ${expected}, got ${hexes.length}`)
  }
  return [{ algorithm, lengthBytes, hexes }]
}

function strongest(all: readonly PieceHashes[]): PieceHashes | undefined {
  const algorithms = all.map(({ algorithm }) => ({ algorithm, hex: '' }))
  const best = strongestChecksum(algorithms)?.algorithm
  return all.find(({ algorithm }) => algorithm === best)
}

/** Version 3 lists torrents among the mirrors. */
function isForContent({ attributes }: XmlElement): boolean {
  return attributes.get('type') !== 'bittorrent'
}

function readUrl(element: XmlElement, base: HttpUrl | undefined): MetalinkUrl[] {
  const url = parseHttpUrl(element.text, base)
  if (url === undefined) return []
  const location = element.attributes.get('location')?.trim().toLowerCase() ?? ''
  return [{ url, priority: priorityOf(element), location: location === '' ? undefined : location }]
}

function readMetaUrl(
  element: XmlElement,
  mediaType: string,
  base: HttpUrl | undefined,
): MetalinkMetaUrl[] {
  const url = parseHttpUrl(element.text, base)
  return url === undefined ? [] : [{ url, priority: priorityOf(element), mediaType }]
}

/** Undefined for other schemes, and for what is no URL: a document has more than one mirror. */
function parseHttpUrl(text: string, base: HttpUrl | undefined): HttpUrl | undefined {
  try {
    return text === '' ? undefined : HttpUrl.parse(text, base)
  } catch {
    return undefined
  }
}

function priorityOf({ attributes }: XmlElement): number {
  const preference = readInteger(attributes.get('preference') ?? '')
  const priority =
    preference === undefined
      ? readInteger(attributes.get('priority') ?? '')
      : HIGHEST_PREFERENCE + 1 - preference
  return priority !== undefined && priority >= 1 && priority <= LOWEST_PRIORITY
    ? priority
    : LOWEST_PRIORITY
}

function byPriority<Link extends { readonly url: HttpUrl; readonly priority: number }>(
  links: readonly Link[],
): Link[] {
  return firstOfEachUrl(links.toSorted((one, other) => one.priority - other.priority))
}

function readInteger(text: string): number | undefined {
  const number = Number(text)
  return /^\d+$/.test(text) && Number.isSafeInteger(number) ? number : undefined
}

function refuse(name: string, what: string): never {
  throw unreadable(`the file ${JSON.stringify(name)} has an unusable ${what}`)
}

function unreadable(why: string): ConfigError {
  return new ConfigError('metalink', `Cannot read the Metalink: ${why}`)
}

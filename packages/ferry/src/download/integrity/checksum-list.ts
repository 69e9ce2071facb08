/**
 * Reads lists of checksums as sha256sum, b2sum, shasum, md5, openssl and their like write them.
 *
 * Pure. A signature around a list is taken off, not checked: that needs the signer's key. A line that
 * is none of the known forms is no entry, and a file without an entry has no checksum; nothing is
 * guessed.
 */
import { ConfigError } from '../../errors.ts'
import { algorithmNamed, type Checksum, readDigest, strongestChecksum } from './checksum.ts'

/** One line of a list. */
export interface ChecksumEntry {
  /** As it stands there, with its folders; undefined where a digest stands alone. */
  readonly name: string | undefined
  readonly checksum: Checksum
}

/** What a digest without a label is of, by its number of hexadecimal digits: what most tools write. */
const BY_DIGITS: ReadonlyMap<number, string> = new Map([
  [32, 'md5'],
  [40, 'sha1'],
  [56, 'sha224'],
  [64, 'sha256'],
  [96, 'sha384'],
  [128, 'sha512'],
])

/** How b2sum and b3sum are called, and the lists that they write. */
const SHORT_LABELS: ReadonlyMap<string, string> = new Map([
  ['b2', 'blake2b'],
  ['b3', 'blake3'],
])

// GNU: a space, then one for text or * for binary. BSD's `-r` writes one space, others a tab.
const PLAIN = /^([0-9a-f]{32,})(?:(?: [ *]|[ \t])(.+))?$/is
// BSD, and `--tag` of GNU: `SHA256 (name) = digest`; openssl leaves spaces out. The digest is the
// last thing on the line, since a name may hold the rest.
const TAGGED = /^([A-Za-z][\w/-]*) ?\((.+)\) ?= ?([0-9A-Za-z+/]+={0,2})$/s

const SIGNED_MESSAGE = '-----BEGIN PGP SIGNED MESSAGE-----'
const SIGNATURE = '-----BEGIN PGP SIGNATURE-----'

/**
 * Gives the entries of a list in their order.
 * @param options `algorithm` is what digests without a label are of; by default their length decides
 */
export function parseChecksumList(
  text: string,
  options: { readonly algorithm?: string | undefined } = {},
): ChecksumEntry[] {
  const lines = text.replace(/^\u{feff}/u, '').split(/\r?\n/)
  return unwrap(lines).flatMap((line) => parseLine(line, options.algorithm) ?? [])
}

/**
 * The algorithm that the name of a list tells: `SHA512SUMS`, `b2sums.txt`, `file.iso.sha256`. It
 * decides between algorithms whose digests have one length.
 */
export function algorithmOfList(listName: string): string | undefined {
  const words = listName.toLowerCase().split(/[^a-z0-9]+/)
  const labels = words.map((word) => word.replace(/sums?$/, ''))
  const algorithms = labels.map((label) => algorithmNamed(SHORT_LABELS.get(label) ?? label))
  return algorithms.findLast((algorithm) => algorithm !== undefined)
}

/**
 * The checksum of a file: of the entry with just that name, else of those that name it in a folder,
 * else of a digest that stands alone. The strongest, when the list has several algorithms.
 * @throws {ConfigError} when the list has none for that file, or contradicts itself
 */
export function findChecksum(entries: readonly ChecksumEntry[], fileName: string): Checksum {
  const isNamed = (name: string | undefined): boolean => name?.replace(/^\.\//, '') === fileName
  const isInFolder = (name: string | undefined): boolean =>
    name?.split(/[/\\]/).at(-1)?.trim() === fileName
  const isAlone = (name: string | undefined): boolean => name === undefined
  for (const isWanted of [isNamed, isInFolder, isAlone]) {
    const found = entries.filter(({ name }) => isWanted(name))
    const checksum = strongestChecksum(found.map((entry) => entry.checksum))
    if (checksum !== undefined) return checksum
  }
  throw new ConfigError(
    'checksum',
    `Cannot find a checksum of ${JSON.stringify(fileName)}: ` +
      `the list has ${entries.length} entries, none of that name`,
  )
}

/** What was signed, when there is such a wrapper: only that is what the signer wrote. */
function unwrap(lines: readonly string[]): readonly string[] {
  const start = lines.findIndex((line) => line.trimEnd() === SIGNED_MESSAGE)
  if (start === -1) return lines
  // RFC 9580 §7: lines of armour headers, then an empty one. Lines with a hyphen in front are escaped;
  // none of them is an entry.
  const headersEnd = lines.findIndex((line, index) => index > start && line.trimEnd() === '')
  const end = lines.findIndex((line, index) => index > start && line.trimEnd() === SIGNATURE)
  if (headersEnd === -1 || end < headersEnd) return []
  return lines.slice(headersEnd + 1, end)
}

function parseLine(line: string, algorithm: string | undefined): ChecksumEntry | undefined {
  // GNU: a backslash in front tells that the name is escaped.
  const isEscaped = line.startsWith('\\')
  const text = isEscaped ? line.slice(1) : line
  const entry = parseTagged(text) ?? parsePlain(text, algorithm)
  if (!isEscaped || entry?.name === undefined) return entry
  return { ...entry, name: unescapeName(entry.name) }
}

function parseTagged(line: string): ChecksumEntry | undefined {
  const [, label, name, digest] = TAGGED.exec(line) ?? []
  if (label === undefined || name === undefined || digest === undefined) return undefined
  return toEntry(algorithmNamed(label), name, digest)
}

function parsePlain(line: string, algorithm: string | undefined): ChecksumEntry | undefined {
  const [, digest, name] = PLAIN.exec(line) ?? []
  if (digest === undefined) return undefined
  return toEntry(algorithm ?? BY_DIGITS.get(digest.length), name, digest)
}

function toEntry(
  algorithm: string | undefined,
  name: string | undefined,
  digest: string,
): ChecksumEntry | undefined {
  const hex = algorithm === undefined ? undefined : readDigest(algorithm, digest)
  if (algorithm === undefined || hex === undefined) return undefined
  return { name: name?.trim() === '' ? undefined : name, checksum: { algorithm, hex } }
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', '\\': '\\' }

function unescapeName(name: string): string {
  return name.replaceAll(/\\([nr\\])/g, (_, letter: string) => ESCAPES[letter] as string)
}

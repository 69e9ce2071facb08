/** What files must have, by the lists that say so, and whether they have it. */
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import {
  checkDigest,
  type Checksum,
  digestFile,
  FileDigest,
  parseChecksum,
  type PieceHashes,
  safeFileName,
  strongestChecksum,
} from 'ferry/download'
import {
  algorithmOfList,
  findChecksum,
  type MetalinkFile,
  parseChecksumList,
  parseMetalink,
} from 'ferry/download/lists'
import { ConfigError, isFerryError, TransferError } from 'ferry/errors'
import { reasonOf } from './fetch-system-errors.ts'

/** What a file must have. */
export interface Expectation {
  readonly path: string
  readonly size?: number | undefined
  readonly checksum?: Checksum | undefined
  readonly pieces?: PieceHashes | undefined
}

/** What a file has, that is right. */
export interface VerifiedFile {
  readonly size: number
  /** Undefined when pieces were checked instead. */
  readonly checksum: Checksum | undefined
  readonly pieces: number | undefined
}

// More are counted.
const MAX_LISTED_SPANS = 5

/**
 * Gives what each file must have; without files, each that the list or the Metalink names.
 * @throws {ConfigError} when a file is not in them, or they are broken
 */
export function expectationsOf(
  files: readonly string[],
  by: {
    readonly checksum?: readonly string[] | undefined
    readonly list?: { readonly name: string; readonly text: string } | undefined
    readonly metalink?: string | undefined
  },
): Expectation[] {
  if (by.checksum !== undefined) {
    const checksum = strongestChecksum(by.checksum.map((text) => parseChecksum(text)))
    return files.map((path) => ({ path, checksum }))
  }
  return by.list === undefined
    ? expectationsOfMetalink(files, by.metalink ?? '')
    : expectationsOfList(files, by.list)
}

/**
 * Checks one file.
 * @throws {TransferError} checksum-mismatch, size-mismatch; disk-failed when it cannot be read
 * @throws `signal.reason`
 */
export async function checkFile(
  expectation: Expectation,
  options: {
    readonly signal: AbortSignal
    readonly onSize: (bytes: number) => void
    readonly onProgress: (bytes: number) => void
  },
): Promise<VerifiedFile> {
  const { path, checksum, pieces } = expectation
  const size = await sizeOf(path)
  options.onSize(size)
  checkSize(expectation, size)
  if (checksum === undefined) {
    if (pieces === undefined) throw unknown(path)
    await checkPieces(path, pieces, { ...options, size })
    return { size, checksum: undefined, pieces: pieces.hexes.length }
  }
  const digest = await digestFile(path, checksum.algorithm, options)
  try {
    checkDigest(path, checksum, digest)
  } catch (error) {
    // Pieces tell where it is wrong.
    if (pieces !== undefined && isFerryError(error, 'checksum-mismatch')) {
      await checkPieces(path, pieces, { ...options, size })
    }
    throw error
  }
  return { size, checksum, pieces: undefined }
}

function expectationsOfList(
  files: readonly string[],
  { name, text }: { readonly name: string; readonly text: string },
): Expectation[] {
  const entries = parseChecksumList(text, { algorithm: algorithmOfList(basename(name)) })
  const named = entries.flatMap((entry) => entry.name ?? [])
  const paths = files.length === 0 ? [...new Set(named)] : files
  if (paths.length === 0) {
    throw new ConfigError('checksums', `Cannot verify by ${name}: it names no file`)
  }
  return paths.map((path) => {
    const isNamed = named.includes(path)
    return { path, checksum: findChecksum(entries, isNamed ? path : basename(path)) }
  })
}

function expectationsOfMetalink(files: readonly string[], text: string): Expectation[] {
  const described = parseMetalink(text)
  const find = (path: string): MetalinkFile | undefined =>
    described.find(({ name }) => name === basename(path)) ??
    // One file described and one given: whatever it is called here.
    (described.length === 1 && files.length === 1 ? described[0] : undefined)
  const paths = files.length === 0 ? described.map(({ name }) => safeFileName(name)) : files
  return paths.map((path) => {
    const file = find(path)
    if (file === undefined) {
      throw new ConfigError('metalink', `Cannot verify ${path}: the Metalink does not describe it`)
    }
    const { size, checksums, pieces } = file
    return { path, size, checksum: strongestChecksum(checksums), pieces }
  })
}

async function sizeOf(path: string): Promise<number> {
  try {
    const found = await stat(path)
    if (found.isDirectory()) throw Object.assign(new Error('a folder'), { code: 'EISDIR' })
    return found.size
  } catch (cause) {
    const reason = reasonOf(cause as NodeJS.ErrnoException)
    throw new TransferError('disk-failed', `Cannot read ${path}: ${reason}`, { cause })
  }
}

function checkSize({ path, size: expected }: Expectation, size: number): void {
  if (expected === undefined || expected === size) return
  throw new TransferError(
    'size-mismatch',
    `Cannot accept ${path}: expected ${expected} bytes, got ${size}`,
  )
}

async function checkPieces(
  path: string,
  pieces: PieceHashes,
  {
    size,
    signal,
    onProgress,
  }: {
    readonly size: number
    readonly signal: AbortSignal
    readonly onProgress: (bytes: number) => void
  },
): Promise<void> {
  const { algorithm, lengthBytes, hexes } = pieces
  await using digest = FileDigest.open({ path, algorithms: [] })
  const bad: { readonly start: number; readonly end: number }[] = []
  if (hexes.length !== Math.ceil(size / lengthBytes)) throw unknown(path)
  for (const [index, hex] of hexes.entries()) {
    const start = index * lengthBytes
    const span = { start, end: Math.min(size, start + lengthBytes) }
    const actual = await digest.digestSpan(algorithm, span, { signal })
    if (actual !== hex.toLowerCase()) bad.push(span)
    onProgress(span.end)
  }
  if (bad.length === 0) return
  const listed = bad.slice(0, MAX_LISTED_SPANS).map(({ start, end }) => `${start}-${end - 1}`)
  const more = bad.length > listed.length ? ' …' : ''
  throw new TransferError(
    'checksum-mismatch',
    `Cannot accept ${path}: ${bad.length} of ${hexes.length} pieces are wrong, ` +
      `bytes ${listed.join(', ')}${more}`,
    { detail: { algorithm, bad } },
  )
}

function unknown(path: string): ConfigError {
  return new ConfigError(
    'metalink',
    `Cannot verify ${path}: the Metalink has no digest of it that can be used`,
  )
}

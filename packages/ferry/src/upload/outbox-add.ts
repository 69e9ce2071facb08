/** Putting things into an outbox: files, whole folders, and bytes of any shape. */
import { createHash } from 'node:crypto'
import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { ConfigError } from '../errors.ts'
import { type ContentInit, toContent } from '../transport/content.ts'
import { openContent } from '../transport/request-stream.ts'
import { FileSource } from './file-source.ts'
import type { NewItem, Outbox, OutboxAddOptions, OutboxItem, OutboxMetadata } from './outbox.ts'
import { digestOf } from './source-digest.ts'

/** How bytes are added. */
export interface AddContentOptions extends OutboxAddOptions {
  readonly type?: string | undefined
  readonly metadata?: OutboxMetadata | undefined
  /** Of each stored part. @defaultValue 1 MiB */
  readonly partBytes?: number | undefined
}

/** How a file is added. */
export interface AddFileOptions extends AddContentOptions {
  /** What the sender calls it. @defaultValue its path as it was given */
  readonly name?: string | undefined
  /**
   * `stored` copies its bytes into the outbox. `reference` leaves them where they are: the file must
   * stay as it is until it is sent; if it does not, sending fails with `source-changed`.
   * @defaultValue stored
   */
  readonly mode?: 'stored' | 'reference' | undefined
  /** Reads a file that is only referred to once, to know its digest. @defaultValue false */
  readonly digest?: boolean | undefined
}

/** How a folder is added. */
export interface AddFolderOptions extends Omit<AddFileOptions, 'name' | 'type'> {
  /** What stands before the names of its files. @defaultValue the folder's own name */
  readonly name?: string | undefined
  /** Told of what is no file and no folder: sockets, devices, links to folders or to nothing. */
  readonly onSkip?: ((path: string) => void) | undefined
}

/**
 * Adds a file. A file that changes while it is read is not added.
 * @throws {ConfigError} when it is not there, no regular file, or may not be read
 * @throws {TransferError} `source-changed`, and what `Outbox.add()` throws
 */
export async function addFile(
  outbox: Outbox,
  path: string,
  options: AddFileOptions = {},
): Promise<OutboxItem> {
  const [item] = await outbox.add([await describeFile(path, options)], options)
  return item as OutboxItem
}

/**
 * Adds every file of a folder and of the folders in it, all of them or none, under names like
 * `photos/2026/a.jpg`. Links to files are followed, links to folders are not.
 * @throws as `addFile()`
 */
export async function addFolder(
  outbox: Outbox,
  path: string,
  options: AddFolderOptions = {},
): Promise<OutboxItem[]> {
  const { name = basename(resolve(path)) } = options
  return await outbox.add(describeFolder(path, name, options), options)
}

/**
 * Adds bytes under a name: text, buffers, Blobs, Node's and WHATWG streams, any iterable of pieces.
 * @throws {LocalProtocolError} when it is nothing that has bytes
 * @throws what the stream throws, and what `Outbox.add()` throws
 */
export async function addContent(
  outbox: Outbox,
  name: string,
  content: ContentInit,
  options: AddContentOptions = {},
): Promise<OutboxItem> {
  const { type, metadata, partBytes, signal } = options
  const pieces = openContent(toContent(content), signal)
  const added = { name, type, metadata, content: { mode: 'stored', pieces, partBytes } } as const
  const [item] = await outbox.add([added], options)
  return item as OutboxItem
}

async function describeFile(path: string, options: AddFileOptions): Promise<NewItem> {
  const { name = path, type, metadata, partBytes, signal } = options
  const source = await openFile(path)
  if (options.mode !== 'reference') {
    const pieces = readLater(source, signal)
    return { name, type, metadata, content: { mode: 'stored', pieces, partBytes } }
  }
  const sha256 = options.digest === true ? await readDigest(source, signal) : undefined
  const { size, fingerprint } = source
  const content = { mode: 'reference', path: resolve(path), size, fingerprint, sha256 } as const
  return { name, type, metadata, content }
}

async function readDigest(source: FileSource, signal: AbortSignal | undefined): Promise<string> {
  try {
    return await digestOf(source, 'sha256', {
      span: { start: 0, end: source.size },
      createHash,
      signal: signal ?? new AbortController().signal,
    })
  } finally {
    await source.close()
  }
}

/** A file is opened when its turn comes: a folder may have more than the system lets be open. */
async function* readLater(
  source: FileSource,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void> {
  try {
    yield* openContent(await source.content({ start: 0, end: source.size }), signal)
  } finally {
    await source.close()
  }
}

async function* describeFolder(
  path: string,
  name: string,
  options: AddFolderOptions,
): AsyncGenerator<NewItem, void> {
  for (const entry of await readFolder(path)) {
    const entryPath = join(path, decodeName(path, entry.name))
    const entryName = `${name}/${decodeName(path, entry.name)}`
    if (entry.isDirectory()) yield* describeFolder(entryPath, entryName, options)
    else if (await isFile(entry, entryPath)) {
      yield await describeFile(entryPath, { ...options, name: entryName })
    } else options.onSkip?.(entryPath)
  }
}

/** In the order of their bytes, which is the same everywhere. */
async function readFolder(path: string): Promise<Dirent<Buffer>[]> {
  const entries = await readdir(path, { withFileTypes: true, encoding: 'buffer' }).catch(
    (cause: NodeJS.ErrnoException) => {
      throw addError(path, cause)
    },
  )
  return entries.sort((a, b) => Buffer.compare(a.name, b.name))
}

/** Linux takes any bytes for a name; what is no text could be told to no server. */
function decodeName(folder: string, bytes: Buffer): string {
  const name = bytes.toString()
  if (Buffer.from(name).equals(bytes)) return name
  throw new ConfigError(
    'path',
    `Cannot add a file of ${JSON.stringify(folder)}: its name is not UTF-8, ${JSON.stringify(name)}`,
  )
}

async function isFile(entry: Dirent<Buffer>, path: string): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isFile()
  const target = await stat(path).catch(() => undefined)
  return target?.isFile() === true
}

async function openFile(path: string): Promise<FileSource> {
  try {
    return await FileSource.open(path)
  } catch (error) {
    const { cause } = error as { cause?: NodeJS.ErrnoException }
    throw cause?.code !== undefined && cause.code in REASONS ? addError(path, cause) : error
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'it is no folder',
  EACCES: 'permission denied',
}

function addError(path: string, cause: NodeJS.ErrnoException): ConfigError {
  const reason = REASONS[cause.code ?? ''] ?? cause.message
  return new ConfigError('path', `Cannot add ${JSON.stringify(path)}: ${reason}`)
}

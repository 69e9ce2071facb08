/** Finds the files that a command line names: files themselves, and what is in folders. */
import { access, constants, readdir, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { ConfigError } from 'ferry/errors'
import { reasonOf } from './fetch-system-errors.ts'

/** Something to be sent. */
export interface PutFile {
  /** As it was given, or below a folder that was; `-` for standard input. */
  readonly path: string
  /** What the server is told it is called. */
  readonly name: string
  /** Why it cannot be sent. */
  readonly error?: Error
}

/** What stands for standard input. */
export const STANDARD_INPUT = '-'

/**
 * Finds them, in the order of the words, and in folders in that of their names. What cannot be sent is
 * among them, each with its error.
 * @param note told of what is left out
 * @throws {ConfigError} when the name cannot be that of all of them
 * @throws `signal.reason`
 */
export async function findFiles(
  words: readonly string[],
  {
    name,
    note,
    signal,
  }: {
    readonly name: string | undefined
    readonly note: (sentence: string) => void
    readonly signal: AbortSignal
  },
): Promise<PutFile[]> {
  checkName(words, name)
  const found = new Map<string, PutFile>()
  for (const word of words) {
    for await (const file of findIn(word, name, note)) {
      signal.throwIfAborted()
      const key = `${resolve(file.path)}\0${file.name}`
      if (found.has(key)) note(`${file.path} is named twice, and sent once`)
      found.set(key, file)
    }
  }
  return [...found.values()]
}

function checkName(words: readonly string[], name: string | undefined): void {
  if (name === '') throw new ConfigError('name', 'Cannot use an empty --name')
  if (name !== undefined && words.length > 1) {
    throw new ConfigError('name', 'Cannot give one --name to several files')
  }
  if (name === undefined && words.includes(STANDARD_INPUT)) {
    throw new ConfigError('name', 'Cannot send standard input without a --name for it')
  }
}

async function* findIn(
  word: string,
  name: string | undefined,
  note: (sentence: string) => void,
): AsyncGenerator<PutFile, void> {
  const file = { path: word, name: name ?? (word === '' ? '' : basename(resolve(word))) }
  if (word === STANDARD_INPUT) {
    yield file
    return
  }
  const stats = await stat(word).catch((cause: NodeJS.ErrnoException) => cause)
  if (stats instanceof Error) yield unusable(file, whyNotFound(word, stats))
  else if (stats.isDirectory()) yield* findBelow(file, note)
  else if (stats.isFile()) yield await checkReadable(file)
  else yield unusable(file, 'it is neither a file nor a folder; a pipe can be sent with <, as -')
}

/** Links to files are followed; links to folders are not, which might never end. */
async function* findBelow(
  folder: PutFile,
  note: (sentence: string) => void,
): AsyncGenerator<PutFile, void> {
  const entries = await readdir(folder.path, { withFileTypes: true }).catch(
    (cause: NodeJS.ErrnoException) => cause,
  )
  if (entries instanceof Error) {
    yield unusable(folder, reasonOf(entries))
    return
  }
  if (entries.length === 0) note(`${folder.path} has no files in it`)
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder.path, entry.name)
    const file = { path, name: `${folder.name}/${entry.name}` }
    const isLinkToFile = entry.isSymbolicLink() && (await isFile(path))
    if (entry.isDirectory()) yield* findBelow(file, note)
    else if (entry.isFile() || isLinkToFile) yield await checkReadable(file)
    else note(`${path} is left out: it is no file`)
  }
}

async function checkReadable(file: PutFile): Promise<PutFile> {
  const cause = await access(file.path, constants.R_OK).then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error,
  )
  return cause === undefined ? file : unusable(file, whyNotFound(file.path, cause))
}

function whyNotFound(path: string, cause: NodeJS.ErrnoException): string {
  // What is no UTF-8 has become this, and leads nowhere; but there are names that have it.
  const isBroken = cause.code === 'ENOENT' && path.includes('\uFFFD')
  return isBroken ? 'its name is not UTF-8' : reasonOf(cause)
}

async function isFile(path: string): Promise<boolean> {
  const stats = await stat(path).catch(() => undefined)
  return stats?.isFile() === true
}

function unusable(file: PutFile, reason: string): PutFile {
  const path = file.path === '' ? '""' : file.path
  return { ...file, error: new ConfigError('file', `Cannot send ${path}: ${reason}`) }
}

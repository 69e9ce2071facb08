/**
 * `ferry receive keys`: adds, lists and removes the keys of a key file, and keeps what else is in it.
 * The file is replaced whole, so that a server that starts reads the old one or the new one.
 */
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { open, rename, unlink } from 'node:fs/promises'
import { ConfigError, isFerryError } from 'ferry/errors'
import { generateKey, hashKey, readKeyFile } from 'ferry/receive'
import { ENDINGS, EXIT_OK } from './exit-codes.ts'
import { writeError } from './fetch-system-errors.ts'
import { readOptionFile } from './option-files.ts'
import type { KeyAction } from './receive-options.ts'
import { printable } from './terminal-text.ts'

/** What a line of the file says. */
interface KeyLine {
  readonly owner: string
  /** SHA-256 of the key, hexadecimal. */
  readonly hash: string
  /** Such as `scope=upload`. */
  readonly rights: readonly string[]
}

// Whose a key is that stands alone in its line.
const DEFAULT_OWNER = 'default'
const OWNER = /^[\w.@-]+$/
const HASHED = /^sha256:/i
const RIGHT = /^(?:scope|door|folder)=/
// Of a hash: enough to tell keys apart, and the least that is taken for one.
const SHOWN_DIGITS = 12
const MIN_DIGITS = 8

/** Runs the command; resolves with the exit code. */
export async function runReceiveKeys(action: KeyAction): Promise<number> {
  try {
    for (const line of await act(action)) process.stdout.write(`${printable(line)}\n`)
    return EXIT_OK
  } catch (error) {
    if (!isFerryError(error)) throw error
    const advice = error.code === 'config' ? ' See ferry receive keys --help.' : ''
    process.stderr.write(`ferry: ${printable(error.message)}.${advice}\n`)
    return ENDINGS[error.code].exitCode
  }
}

/** @returns the lines to be printed */
function act(action: KeyAction): Promise<string[]> {
  switch (action.type) {
    case 'add':
      return addKey(action)
    case 'list':
      return listKeys(action.keyFile)
    case 'remove':
      return removeKeys(action.keyFile, action.which)
  }
}

async function addKey({
  keyFile,
  owner,
  rights,
}: Extract<KeyAction, { type: 'add' }>): Promise<string[]> {
  if (!OWNER.test(owner)) {
    throw new ConfigError('owner', 'Cannot use this owner: expected letters, digits and . _ @ -')
  }
  const key = generateKey()
  const words = Object.entries(rights).map(([name, value]) => `${name}=${value as string}`)
  const lines = existsSync(keyFile) ? await readLines(keyFile) : []
  const line = [owner, `sha256:${hashKey(key)}`, ...words].join(' ')
  await replaceFile(keyFile, [...lines, line], readKeyFile)
  return [key]
}

async function listKeys(path: string): Promise<string[]> {
  const keys = (await readLines(path)).map((line) => parseLine(line))
  // Says what a server would say of the file.
  await readKeyFile(path)
  return keys
    .filter((key) => key !== undefined)
    .map(({ owner, hash, rights }) =>
      [`${hash.slice(0, SHOWN_DIGITS)} `, owner, ...rights].join(' '),
    )
}

async function removeKeys(path: string, which: string): Promise<string[]> {
  const lines = await readLines(path)
  const left = lines.filter((line) => !isMeant(parseLine(line), which))
  if (left.length === lines.length) {
    throw new ConfigError(
      'owner',
      `Cannot remove a key from ${path}: none is of this owner, or has a hash that begins so`,
    )
  }
  // It may have no key any more.
  await replaceFile(path, left, () => Promise.resolve())
  const count = lines.length - left.length
  const removed = `Removed ${count === 1 ? '1 key' : `${count} keys`}`
  const isLast = left.every((line) => parseLine(line) === undefined)
  return [isLast ? `${removed}; none is left: a running server lets nobody in` : removed]
}

function isMeant(key: KeyLine | undefined, which: string): boolean {
  if (key === undefined) return false
  return key.owner === which || (which.length >= MIN_DIGITS && key.hash.startsWith(which))
}

/** Undefined for comments and empty lines. */
function parseLine(text: string): KeyLine | undefined {
  const line = text.trim()
  if (line === '' || line.startsWith('#')) return undefined
  const words = line.split(/\s+/)
  const rights = words.filter((word, index) => index > 0 && RIGHT.test(word))
  const [first = '', second] = words.filter((word) => !rights.includes(word))
  const [owner, key] = second === undefined ? [DEFAULT_OWNER, first] : [first, second]
  const hash = HASHED.test(key) ? key.replace(HASHED, '').toLowerCase() : hashKey(key)
  return { owner, hash, rights }
}

async function readLines(path: string): Promise<string[]> {
  return (await readOptionFile('key-file', path)).replace(/\n$/, '').split('\n')
}

/** @param check throws when the file, under the name that it is given, is not to take its place */
async function replaceFile(
  path: string,
  lines: readonly string[],
  check: (next: string) => Promise<unknown>,
): Promise<void> {
  const next = `${path}.${randomUUID()}`
  try {
    {
      await using handle = await open(next, 'wx', 0o600)
      await handle.writeFile(`${lines.join('\n')}\n`)
      await handle.sync()
    }
    await check(next)
    await rename(next, path)
  } catch (cause) {
    await unlink(next).catch(() => {})
    if (!isFerryError(cause)) throw writeError(path, cause as NodeJS.ErrnoException)
    throw new ConfigError('key-file', cause.message.replace(next, path))
  }
}

/**
 * The keys of those who may upload, kept as SHA-256 hashes, and the file that they are read from.
 *
 * A line of the file is `owner key`, or `owner sha256:HEX` for a key that the file does not give
 * away, or a key alone, whose owner is `default`; lines that begin with `#` are comments.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { open } from 'node:fs/promises'
import { ConfigError } from '../errors.ts'

/** A key, as it is kept. */
export interface ApiKey {
  /** Whose uploads it opens; keys of one owner see the same. */
  readonly owner: string
  /** SHA-256 of the key, hexadecimal. */
  readonly sha256: string
}

const DEFAULT_OWNER = 'default'
const KEY_BYTES = 32
const HASHED = /^sha256:([0-9a-f]{64})$/i

/** Keys that are let in. */
export class KeyRing {
  readonly #keys: readonly { readonly owner: string; readonly hash: Buffer }[]

  constructor(keys: readonly ApiKey[]) {
    this.#keys = keys.map(({ owner, sha256 }) => ({ owner, hash: Buffer.from(sha256, 'hex') }))
  }

  /** One key that everybody has. */
  static of(key: string, owner: string = DEFAULT_OWNER): KeyRing {
    return new KeyRing([{ owner, sha256: hashKey(key) }])
  }

  /** Whose key it is; takes as long for every key. */
  findOwner(key: string): string | undefined {
    const hash = Buffer.from(hashKey(key), 'hex')
    let found: string | undefined
    for (const known of this.#keys) {
      const isSame = timingSafeEqual(known.hash, hash)
      found = isSame ? known.owner : found
    }
    return found
  }
}

/** A key that nobody can guess: 64 hexadecimal digits. */
export function generateKey(): string {
  return randomBytes(KEY_BYTES).toString('hex')
}

/** SHA-256 of a key, hexadecimal. */
export function hashKey(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}

/**
 * Reads the keys of a file.
 * @throws {ConfigError} keyFile: not readable, none in it, or keys in it that others can read
 */
export async function readKeyFile(path: string): Promise<KeyRing> {
  const { text, mode } = await readText(path)
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
  if (lines.length === 0) throw unusable(path, 'there is no key in it')
  const keys = lines.map((line) => parseKeyLine(line))
  if (keys.includes(undefined)) throw unusable(path, 'a line is not of the form "owner key"')
  const isSecret = lines.some((line) => !HASHED.test(line.split(/\s+/).at(-1) as string))
  if (isSecret && process.platform !== 'win32' && (mode & 0o077) !== 0) {
    throw unusable(path, 'others can read its keys; expected mode 600')
  }
  return new KeyRing(keys as ApiKey[])
}

/**
 * Makes a file with a new key that only its owner can read.
 * @returns the key
 * @throws {ConfigError} keyFile, when it cannot be written, or is there already
 */
export async function createKeyFile(path: string, owner: string = DEFAULT_OWNER): Promise<string> {
  const key = generateKey()
  try {
    await using handle = await open(path, 'wx', 0o600)
    await handle.writeFile(`${owner} ${key}\n`)
    await handle.sync()
  } catch (cause) {
    throw unusable(path, (cause as Error).message)
  }
  return key
}

function parseKeyLine(line: string): ApiKey | undefined {
  const [first = '', second, ...rest] = line.split(/\s+/)
  if (rest.length > 0) return undefined
  const [owner, key] = second === undefined ? [DEFAULT_OWNER, first] : [first, second]
  const [, sha256] = HASHED.exec(key) ?? []
  return { owner, sha256: sha256 ?? hashKey(key) }
}

async function readText(path: string): Promise<{ text: string; mode: number }> {
  try {
    await using handle = await open(path, 'r')
    const { mode } = await handle.stat()
    return { text: await handle.readFile('utf8'), mode }
  } catch (cause) {
    throw unusable(path, (cause as Error).message)
  }
}

function unusable(path: string, reason: string): ConfigError {
  return new ConfigError('keyFile', `Cannot use the key file ${JSON.stringify(path)}: ${reason}`)
}

/**
 * The keys of those who may upload, kept as SHA-256 hashes, and the file that they are read from.
 *
 * A line of the file is `owner key`, or `owner sha256:HEX` for a key that the file does not give
 * away, or a key alone, whose owner is `default`; lines that begin with `#` are comments. What a key
 * may do can stand behind it: `scope=upload,status`, `door=tus,ietf`, `folder=dir`.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { open } from 'node:fs/promises'
import { ConfigError } from '../errors.ts'
import { toFinalName } from './final-name.ts'
import { DOOR_NAMES, type DoorName } from './upload-route.ts'

/**
 * What a key may do: `upload`, make uploads, fill, finish and end them; `status`, ask how they stand;
 * `admin`, make new keys for the encrypted mode of IndexedCP.
 */
export type KeyScope = (typeof KEY_SCOPES)[number]

const KEY_SCOPES = ['upload', 'status', 'admin'] as const

/** A key, as it is kept. */
export interface ApiKey {
  /** Whose uploads it opens; keys of one owner see the same. */
  readonly owner: string
  /** SHA-256 of the key, hexadecimal. */
  readonly sha256: string
  /** @defaultValue upload and status */
  readonly scopes?: readonly KeyScope[]
  /** Doors that it opens. @defaultValue all */
  readonly doors?: readonly DoorName[]
  /** Below which the files of its uploads get their names. @defaultValue not below any */
  readonly folder?: string
}

const DEFAULT_OWNER = 'default'
const DEFAULT_SCOPES: readonly KeyScope[] = ['upload', 'status']
const KEY_BYTES = 32
const HASHED = /^sha256:([0-9a-f]{64})$/i

/** Keys that are let in. */
export class KeyRing {
  #keys: readonly { readonly key: ApiKey; readonly hash: Buffer }[] = []

  constructor(keys: readonly ApiKey[]) {
    this.replace(keys)
  }

  /** One key that everybody has, and that may do everything. */
  static of(key: string, owner: string = DEFAULT_OWNER): KeyRing {
    return new KeyRing([{ owner, sha256: hashKey(key), scopes: KEY_SCOPES }])
  }

  /** From now on these are the keys. Requests that are on their way go on. */
  replace(keys: readonly ApiKey[]): void {
    this.#keys = keys.map((key) => ({ key, hash: Buffer.from(key.sha256, 'hex') }))
  }

  /** What is known of a key; takes as long for every key, also for one that is wrong. */
  find(key: string): ApiKey | undefined {
    const hash = Buffer.from(hashKey(key), 'hex')
    let found: ApiKey | undefined
    for (const known of this.#keys) {
      const isSame = timingSafeEqual(known.hash, hash)
      found = isSame ? known.key : found
    }
    return found
  }

  /** Whose key it is. */
  findOwner(key: string): string | undefined {
    return this.find(key)?.owner
  }

  /** Where the files of an owner go; the first of its keys that says so. */
  folderOf(owner: string | undefined): string | undefined {
    return this.#keys.find(({ key }) => key.owner === owner && key.folder !== undefined)?.key.folder
  }
}

/** Whether a key may do what a scope means. */
export function hasScope({ scopes = DEFAULT_SCOPES }: ApiKey, scope: KeyScope): boolean {
  return scopes.includes(scope)
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
  const keys = await readKeys(path)
  if (keys.length === 0) throw unusable(path, 'there is no key in it')
  return new KeyRing(keys)
}

/**
 * Reads a file again into keys that are in use: a server lets its keys in from then on, and nobody
 * when there is none. When it cannot be read, the keys stay as they are.
 * @throws {ConfigError} keyFile
 */
export async function reloadKeyFile(path: string, keys: KeyRing): Promise<void> {
  keys.replace(await readKeys(path))
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

async function readKeys(path: string): Promise<ApiKey[]> {
  const { text, mode } = await readText(path)
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
  const keys = lines.map((line) => parseKeyLine(path, line))
  const isSecret = keys.some(({ isHashed }) => !isHashed)
  if (isSecret && process.platform !== 'win32' && (mode & 0o077) !== 0) {
    throw unusable(path, 'others can read its keys; expected mode 600')
  }
  return keys.map(({ key }) => key)
}

/** What a word behind the key means. */
const OPTION = /^(scope|door|folder)=(.+)$/

function parseKeyLine(path: string, line: string): { key: ApiKey; isHashed: boolean } {
  const words = line.split(/\s+/)
  const at = words.findIndex((word, index) => index > 0 && OPTION.test(word))
  const options = at === -1 ? [] : words.slice(at).map((word) => OPTION.exec(word) ?? undefined)
  const [first = '', second, ...rest] = at === -1 ? words : words.slice(0, at)
  if (rest.length > 0 || options.includes(undefined)) {
    throw unusable(path, 'a line is not of the form "owner key [scope=…] [door=…] [folder=…]"')
  }
  const [owner, text] = second === undefined ? [DEFAULT_OWNER, first] : [first, second]
  const [, sha256] = HASHED.exec(text) ?? []
  const told = Object.fromEntries(
    (options as RegExpExecArray[]).map(([, name, value]) => [name, value]),
  )
  const { scope, door, folder } = told as Readonly<Record<string, string | undefined>>
  return {
    isHashed: sha256 !== undefined,
    key: {
      owner,
      sha256: sha256 ?? hashKey(text),
      ...(scope === undefined ? {} : { scopes: parseList(path, scope, KEY_SCOPES) }),
      ...(door === undefined ? {} : { doors: parseList(path, door, DOOR_NAMES) }),
      ...(folder === undefined ? {} : { folder: parseFolder(path, folder) }),
    },
  }
}

function parseList<Name extends string>(
  path: string,
  text: string,
  known: readonly Name[],
): readonly Name[] {
  const names = text.split(',') as Name[]
  if (names.every((name) => known.includes(name))) return names
  throw unusable(path, `a line says what is not known; expected some of ${known.join(', ')}`)
}

function parseFolder(path: string, text: string): string {
  if (toFinalName(text) === text) return text
  throw unusable(path, 'a folder in it is not below that of the uploads, or has an unsafe name')
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

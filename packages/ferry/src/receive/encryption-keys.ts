/**
 * The key pairs to which clients of IndexedCP encrypt: the newest is given out, the older ones still
 * open what was encrypted to them.
 *
 * A folder has a file for each private key, which only its owner can read; without a folder they are
 * gone with the process. The newest key is never removed, however old it is.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  subtle,
  type webcrypto,
} from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ConfigError } from '../errors.ts'
import { syncFolder } from '../transfer/files.ts'
import { storeError } from './store-error.ts'

/** A key, as clients are told it. */
export interface EncryptionKey {
  /** The first 16 hexadecimal digits of the SHA-256 of the PEM text. */
  readonly kid: string
  /** SPKI, as PEM. */
  readonly publicKey: string
  /** Until when it is given out, in epoch ms. */
  readonly expiresAt: number
}

/** What encryption keys are opened with. */
export interface EncryptionKeysOptions {
  /** Made where it is missing. @defaultValue none: in memory only */
  readonly folder?: string | undefined
  /** How long a key is given out. @defaultValue 30 days */
  readonly lifetimeMs?: number
  /** For how long after its creation a key opens what comes. @defaultValue 90 days */
  readonly keepMs?: number
  /** @defaultValue 4,096 */
  readonly modulusBits?: number
  /** Epoch ms. @defaultValue Date.now */
  readonly now?: () => number
}

interface KeyPair {
  readonly kid: string
  readonly createdAt: number
  readonly publicKey: string
  readonly privateKey: KeyObject
  readonly opener: webcrypto.CryptoKey
}

interface KeyFile {
  readonly format: 1
  readonly createdAt: number
  /** PKCS #8, as PEM. */
  readonly privateKey: string
}

const DAY_MS = 86_400_000
const FILE_NAME = /^[0-9a-f]{16}\.json$/
const UNFINISHED = '.new'
const OAEP = { name: 'RSA-OAEP', hash: 'SHA-256' } as const
const generate = promisify(generateKeyPair)

/** All keys of one server. */
export class EncryptionKeys {
  readonly #options: EncryptionKeysOptions
  readonly #now: () => number
  /** Oldest first. */
  #pairs: readonly KeyPair[]
  #making: Promise<EncryptionKey> | undefined

  private constructor(options: EncryptionKeysOptions, pairs: readonly KeyPair[]) {
    this.#options = options
    this.#now = options.now ?? Date.now
    this.#pairs = pairs
  }

  /**
   * Reads the keys of a folder; the first is made when it is asked for.
   * @throws {ConfigError} encryption, for a file in the folder that holds no key
   * @throws {TransferError} not-writable
   */
  static async open(options: EncryptionKeysOptions = {}): Promise<EncryptionKeys> {
    const { folder } = options
    const keys = new EncryptionKeys(options, folder === undefined ? [] : await readFolder(folder))
    await keys.#removeOld()
    return keys
  }

  /** The key that clients are to encrypt to; a new one, when the newest has been given out too long. */
  async current(): Promise<EncryptionKey> {
    const newest = this.#pairs.at(-1)
    const told = newest === undefined ? undefined : this.#tell(newest)
    return told !== undefined && told.expiresAt > this.#now() ? told : await this.rotate()
  }

  /** Makes a new key; several that ask at the same time get the same one. */
  rotate(): Promise<EncryptionKey> {
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined
    })
    return this.#making
  }

  /** Opens what was encrypted to a key; undefined for unknown keys, and for what cannot be opened. */
  async unwrap(kid: string, wrapped: Uint8Array): Promise<Buffer | undefined> {
    const pair = this.#pairs.find((known) => known.kid === kid)
    if (pair === undefined) return undefined
    try {
      return Buffer.from(await subtle.decrypt(OAEP, pair.opener, Buffer.from(wrapped)))
    } catch {
      return undefined
    }
  }

  #tell({ kid, publicKey, createdAt }: KeyPair): EncryptionKey {
    const { lifetimeMs = 30 * DAY_MS } = this.#options
    return { kid, publicKey, expiresAt: createdAt + lifetimeMs }
  }

  async #make(): Promise<EncryptionKey> {
    const { modulusBits = 4096, folder } = this.#options
    const { privateKey } = await generate('rsa', { modulusLength: modulusBits })
    const pair = toPair(privateKey, this.#now())
    if (folder !== undefined) await writeKey(folder, pair)
    this.#pairs = [...this.#pairs, pair]
    await this.#removeOld()
    return this.#tell(pair)
  }

  async #removeOld(): Promise<void> {
    const { keepMs = 90 * DAY_MS, folder } = this.#options
    const newest = this.#pairs.at(-1)
    const isOld = (pair: KeyPair): boolean =>
      pair !== newest && this.#now() - pair.createdAt > keepMs
    const old = this.#pairs.filter(isOld)
    this.#pairs = this.#pairs.filter((pair) => !isOld(pair))
    if (folder === undefined) return
    for (const { kid } of old) await rm(join(folder, `${kid}.json`), { force: true })
  }
}

function toPair(privateKey: KeyObject, createdAt: number): KeyPair {
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString()
  const kid = createHash('sha256').update(publicKey).digest('hex').slice(0, 16)
  const opener = privateKey.toCryptoKey(OAEP, false, ['decrypt'])
  return { kid, createdAt, publicKey, privateKey, opener }
}

async function readFolder(folder: string): Promise<KeyPair[]> {
  let names: string[]
  try {
    await mkdir(folder, { mode: 0o700, recursive: true })
    names = await readdir(folder)
  } catch (cause) {
    throw storeError(`Cannot create ${folder}`, cause)
  }
  // A crash while one was written has left it, and nobody was told of it.
  for (const name of names.filter((found) => found.endsWith(UNFINISHED))) {
    await rm(join(folder, name), { force: true })
  }
  const files = names.filter((name) => FILE_NAME.test(name))
  const pairs = await Promise.all(files.map((name) => readKey(join(folder, name))))
  return pairs.toSorted((a, b) => a.createdAt - b.createdAt)
}

async function readKey(path: string): Promise<KeyPair> {
  try {
    const { createdAt, privateKey } = JSON.parse(await readFile(path, 'utf8')) as KeyFile
    if (!Number.isSafeInteger(createdAt)) throw new TypeError('Cannot tell its age')
    return toPair(createPrivateKey(privateKey), createdAt)
  } catch {
    // The cause might quote from the file.
    throw new ConfigError('encryption', `Cannot use the key file ${path}: there is no key in it`)
  }
}

async function writeKey(folder: string, { kid, createdAt, privateKey }: KeyPair): Promise<void> {
  const path = join(folder, `${kid}.json`)
  const file: KeyFile = {
    format: 1,
    createdAt,
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
  try {
    {
      await using handle = await open(path + UNFINISHED, 'wx', 0o600)
      await handle.writeFile(JSON.stringify(file))
      await handle.sync()
    }
    await rename(path + UNFINISHED, path)
  } catch (cause) {
    throw storeError(`Cannot write ${path}`, cause)
  }
  await syncFolder(folder)
}

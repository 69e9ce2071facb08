/** The server of IndexedCP under the names and with the options that its users know. */
import { basename, dirname, resolve } from 'node:path'
import { ConfigError } from '../errors.ts'
import type { FilenameGenerator } from './doors/indexedcp-door.ts'
import type { PathMode } from './doors/indexedcp-names.ts'
import { generateKey, KeyRing } from './keys.ts'
import { UploadServer } from './upload-server.ts'

/** What an IndexCPServer is made with. */
export interface IndexCPServerOptions {
  /** @defaultValue the working folder */
  readonly outputDir?: string
  /** @defaultValue 3000 */
  readonly port?: number
  /** @defaultValue a random one, to be read from the server */
  readonly apiKey?: string
  /** Called once for each file. */
  readonly filenameGenerator?: FilenameGenerator
  /** @defaultValue ignore */
  readonly pathMode?: PathMode
  /** @defaultValue 127.0.0.1 */
  readonly host?: string
}

const DEFAULT_PORT = 3000

/** Receives uploads of IndexedCP clients into a folder. Whoever listens closes it. */
export class IndexCPServer implements AsyncDisposable {
  readonly outputDir: string
  readonly port: number
  /** Clients need it; it is printed nowhere. */
  readonly apiKey: string
  readonly #options: IndexCPServerOptions
  #opened: Promise<UploadServer> | undefined

  constructor(options: IndexCPServerOptions = {}) {
    this.#options = options
    this.outputDir = resolve(options.outputDir ?? '.')
    this.port = options.port ?? DEFAULT_PORT
    this.apiKey = options.apiKey ?? this.generateApiKey()
    if (this.apiKey === '') throw new ConfigError('apiKey', 'Cannot use an empty key')
  }

  generateApiKey(): string {
    return generateKey()
  }

  /**
   * Begins to listen, then calls back.
   * @returns the URL; clients add `/upload`
   * @throws {ConfigError} port, when it is taken
   * @throws {TransferError} locked, not-writable
   */
  async listen(port: number = this.port, callback?: () => void): Promise<string> {
    const { filenameGenerator, pathMode, host } = this.#options
    this.#opened = UploadServer.open(this.outputDir, {
      keys: KeyRing.of(this.apiKey),
      doors: ['indexedcp'],
      indexedcp: {
        ...(filenameGenerator === undefined ? {} : { filenameGenerator }),
        ...(pathMode === undefined ? {} : { pathMode }),
      },
    })
    const server = await this.#opened
    try {
      const url = await server.listen({ port, ...(host === undefined ? {} : { host }) })
      callback?.()
      return url
    } catch (error) {
      await server.close()
      throw error
    }
  }

  /** Stops listening. Idempotent. */
  async close(): Promise<void> {
    const server = await this.#opened?.catch(() => undefined)
    await server?.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/**
 * Receives chunks from anybody on this machine into one file; further files get a number.
 * @returns the listening server; whoever asks for it closes it
 */
export async function createSimpleServer(
  outputFile: string,
  port: number = DEFAULT_PORT,
): Promise<UploadServer> {
  const path = resolve(outputFile)
  const server = await UploadServer.open(dirname(path), {
    doors: ['indexedcp'],
    indexedcp: { filenameGenerator: () => basename(path), answers: 'text' },
  })
  try {
    await server.listen({ port })
  } catch (error) {
    await server.close()
    throw error
  }
  return server
}

/** The server of IndexedCP under the names and with the options that its users know. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { basename, dirname, resolve } from 'node:path'
import { ConfigError } from '../errors.ts'
import { sendAnswer } from './doors/door-answer.ts'
import type { FilenameGenerator } from './doors/indexedcp-door.ts'
import type { PathMode } from './doors/indexedcp-names.ts'
import { createHttpServer } from './http-server.ts'
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
  /** The encrypted mode, with its private keys in `.ferry` of the folder. @defaultValue false */
  readonly encryption?: boolean
  /** @defaultValue 127.0.0.1 */
  readonly host?: string
}

const DEFAULT_PORT = 3000

/** Names of the Python server: a key that nobody reads would leave a random one in its place. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  output_dir: 'outputDir',
  api_key: 'apiKey',
  filename_generator: 'filenameGenerator',
  path_mode: 'pathMode',
}

/** Receives uploads of IndexedCP clients into a folder. Whoever listens closes it. */
export class IndexCPServer implements AsyncDisposable {
  readonly outputDir: string
  readonly port: number
  /** Clients need it; it is printed nowhere. */
  readonly apiKey: string
  readonly #options: IndexCPServerOptions
  readonly #owner = 'default'
  #opening: Promise<UploadServer> | undefined
  #opened: UploadServer | undefined

  /** @throws {ConfigError} apiKey, when it is empty; options by the names of the Python server */
  constructor(options: IndexCPServerOptions = {}) {
    for (const name of Object.keys(options)) {
      const own = OTHER_NAMES[name]
      if (own !== undefined) throw new ConfigError(name, `Cannot use ${name}: its name is ${own}`)
    }
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
    const { host } = this.#options
    const server = await this.#open()
    try {
      const url = await server.listen({ port, ...(host === undefined ? {} : { host }) })
      callback?.()
      return url
    } catch (error) {
      await this.close()
      throw error
    }
  }

  /**
   * A server of node:http that receives into the folder, to listen on by oneself. Whoever asks for
   * it closes it, and this one.
   */
  createServer(): Server {
    const handler = (request: IncomingMessage, response: ServerResponse): Promise<void> =>
      this.handleUpload(request, response)
    return createHttpServer({}, handler, async (request, response) => {
      response.writeContinue()
      await handler(request, response)
    })
  }

  /** Answers a request, for servers of one's own. Its content must not have been read. */
  async handleUpload(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let server: UploadServer
    try {
      server = await this.#open()
    } catch {
      // Why is not for clients.
      await sendAnswer(request, response, CANNOT_RECEIVE)
      return
    }
    await server.handler(request, response)
  }

  /** Whether a chunk of a file is there; as with all three, the stored name is meant, or the client's. */
  isChunkReceived(filename: string, chunkIndex: number): boolean {
    return this.getReceivedChunks(filename).includes(chunkIndex)
  }

  /** Indices of the chunks that are there of a file, until it counts as done. */
  getReceivedChunks(filename: string): number[] {
    const server = this.#opened
    return server?.indexedcp.receivedChunks(server.core, this.#owner, filename) ?? []
  }

  /**
   * Counts a file, or all, as done: whatever chunks come from now on begin another. Its bytes stay, but
   * for chunks that wait for those before them.
   */
  async clearChunkTracking(filename?: string): Promise<void> {
    const server = this.#opened
    await server?.indexedcp.finish(server.core, this.#owner, filename)
  }

  /** Stops listening. Idempotent. */
  async close(): Promise<void> {
    const server = await this.#opening?.catch(() => undefined)
    await server?.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #open(): Promise<UploadServer> {
    const { filenameGenerator, pathMode, encryption = false } = this.#options
    this.#opening ??= UploadServer.open(this.outputDir, {
      keys: KeyRing.of(this.apiKey, this.#owner),
      doors: ['indexedcp'],
      encryption,
      indexedcp: {
        ...(filenameGenerator === undefined ? {} : { filenameGenerator }),
        ...(pathMode === undefined ? {} : { pathMode }),
      },
    })
    try {
      this.#opened = await this.#opening
      return this.#opened
    } catch (error) {
      // Another process may leave the folder.
      this.#opening = undefined
      throw error
    }
  }
}

const CANNOT_RECEIVE = {
  status: 500,
  fields: { 'Content-Type': 'application/json' },
  body: JSON.stringify({ error: 'Upload error', message: 'Cannot receive into the folder' }),
} as const

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

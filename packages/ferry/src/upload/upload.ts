/** Uploads from Node: what can be sent, and the client that carries it. */
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { HttpClient, type RequestClient } from '../client/http-client.ts'
import { type Clock, systemClock } from '../clock.ts'
import { RateLimit } from '../transfer/rate-limit.ts'
import { HttpUrl } from '../transport/http-url.ts'
import { ClientWire } from './client-wire.ts'
import { FileSource } from './file-source.ts'
import { MemorySource } from './memory-source.ts'
import { StreamSource } from './stream-source.ts'
import { Upload } from './upload-handle.ts'
import type { UploadOptions } from './upload-options.ts'
import { checkUploadSettings } from './upload-settings.ts'
import type { UploadSource } from './upload-source.ts'

export { Upload }

/**
 * What can be sent: a path, or a URL with `file:`; bytes or a Blob, which must not change meanwhile; a
 * stream, which is read once; or a source of one's own, which stays its maker's to close.
 */
export type UploadInput =
  | string
  | URL
  | Uint8Array
  | Blob
  | AsyncIterable<Uint8Array>
  | UploadSource

/**
 * Starts to send `input` to the server at `url`: the URL where uploads are created or, by IndexedCP,
 * chunks are taken.
 * @throws {ConfigError} at once, for a URL or option that cannot be used; everything else comes
 * through `result`
 */
export function upload(
  input: UploadInput,
  url: string | URL | HttpUrl,
  options: UploadOptions = {},
): Upload {
  checkUploadSettings(options)
  const endpoint = HttpUrl.parse(url)
  const { clock = systemClock, stallTimeoutMs, answerTimeoutMs } = options
  const limit = new RateLimit(options.limitBytesPerSecond, options.limit)
  const own = options.client === undefined ? new OwnClient(clock) : undefined
  const client = options.client ?? (own as OwnClient)
  const parts = {
    openSource: () => openSource(input, options),
    ownsSource: !isSource(input),
    wire: new ClientWire({ client, limit, clock, stallTimeoutMs, answerTimeoutMs }),
    closeWire: async () => await own?.close(),
    limit,
    createHash,
  }
  return new Upload(endpoint, parts, options)
}

/** A client of one upload, which opens again when there is something to send after it was closed. */
class OwnClient implements RequestClient {
  readonly #clock: Clock
  #client: HttpClient | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#client = new HttpClient({ clock })
  }

  send(...given: Parameters<HttpClient['send']>): ReturnType<HttpClient['send']> {
    this.#client ??= new HttpClient({ clock: this.#clock })
    return this.#client.send(...given)
  }

  async close(): Promise<void> {
    const closing = this.#client
    this.#client = undefined
    await closing?.close()
  }
}

async function openSource(input: UploadInput, options: UploadOptions): Promise<UploadSource> {
  const { name, type, chunkBytes } = options
  if (typeof input === 'string') return await FileSource.open(input, { name, type })
  if (input instanceof URL) return await FileSource.open(fileURLToPath(input), { name, type })
  if (isSource(input)) return input
  const named = { name: name ?? nameOfBlob(input) ?? 'upload', type }
  if (input instanceof Uint8Array || input instanceof Blob) return new MemorySource(input, named)
  return new StreamSource(input, { ...named, maxPieceBytes: chunkBytes })
}

function isSource(input: UploadInput): input is UploadSource {
  if (typeof input === 'string') return false
  return 'prepare' in input && 'content' in input && 'release' in input
}

function nameOfBlob(input: object): string | undefined {
  return 'name' in input && typeof input.name === 'string' ? input.name : undefined
}

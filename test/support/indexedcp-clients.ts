/** Clients of IndexedCP as each generation of the Node ones behaves, written from their protocol. */
import { Agent, request } from 'node:http'

const NODE_FETCH = 'node-fetch/1.0 (+https://github.com/bitinn/node-fetch)'

/** An answer to a chunk, as the clients read it. */
export interface ChunkAnswer {
  readonly status: number
  readonly json: Readonly<Record<string, unknown>>
}

/** Where and as whom. */
export interface ClientOptions {
  readonly url: string
  readonly key: string
  /** Bytes of a chunk. */
  readonly chunkBytes: number
}

/** A Node client: one connection, chunk after chunk; what is acknowledged it no longer has. */
export class NodeClient implements Disposable {
  readonly #options: ClientOptions
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })
  readonly #buffer: { name: string; index: number; content: Buffer }[] = []

  constructor(options: ClientOptions) {
    this.#options = options
  }

  /** Chunks that are not acknowledged. */
  get buffered(): number {
    return this.#buffer.length
  }

  addFile(name: string, content: Buffer): void {
    const { chunkBytes } = this.#options
    for (let at = 0; at < content.length; at += chunkBytes) {
      const chunk = content.subarray(at, at + chunkBytes)
      this.#buffer.push({ name, index: at / chunkBytes, content: chunk })
    }
  }

  /** JS-1: gives up at the first failure. @returns names of the client → names at the server */
  async uploadBufferedFiles(): Promise<Record<string, string>> {
    const stored: Record<string, string> = {}
    for (const chunk of [...this.#buffer]) {
      const { status, json } = await this.uploadChunk(chunk.name, chunk.index, chunk.content)
      if (status === 401) throw new Error('Authentication failed: Invalid API key')
      if (status !== 200) throw new Error(`Upload failed: ${status}`)
      stored[chunk.name] ??= String(json['actualFilename'])
      this.#buffer.splice(this.#buffer.indexOf(chunk), 1)
    }
    return stored
  }

  /** JS-2 in the background: goes on with the next chunk after a failure, and tries it later. */
  async uploadInBackground(fails: (index: number, round: number) => boolean): Promise<void> {
    for (let round = 0; this.#buffer.length > 0; round++) {
      for (const chunk of [...this.#buffer]) {
        if (fails(chunk.index, round)) continue
        const { status } = await this.uploadChunk(chunk.name, chunk.index, chunk.content)
        if (status === 200) this.#buffer.splice(this.#buffer.indexOf(chunk), 1)
      }
    }
  }

  uploadChunk(name: string, index: number, content: Buffer): Promise<ChunkAnswer> {
    const { url, key } = this.#options
    const headers = {
      'Content-Type': 'application/octet-stream',
      'X-Chunk-Index': String(index),
      'X-File-Name': name,
      Authorization: `Bearer ${key}`,
      Accept: '*/*',
      'Content-Length': content.length,
      'User-Agent': NODE_FETCH,
      'Accept-Encoding': 'gzip,deflate',
      Connection: 'keep-alive',
    }
    return new Promise((resolve, reject) => {
      const sent = request(url, { method: 'POST', headers, agent: this.#agent }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => {
          const json = JSON.parse(Buffer.concat(chunks).toString()) as ChunkAnswer['json']
          resolve({ status: response.statusCode ?? 0, json })
        })
      })
      sent.on('error', reject)
      sent.end(content)
    })
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }
}

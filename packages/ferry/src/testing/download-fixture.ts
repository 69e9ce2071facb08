/**
 * A folder to download into and a fault server to download from, with waits cut short.
 * Removes the folder and closes the server when disposed of.
 */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import type { HttpClientOptions } from '../client/call-options.ts'
import { HttpClient, type RequestClient } from '../client/http-client.ts'
import { type Download, download } from '../download/download.ts'
import type { DownloadOptions } from '../download/download-options.ts'
import { FaultServer } from './fault-server.ts'
import type { FaultServerOptions } from './fault-server-answer.ts'

// Backoff of half a second becomes 20 ms; a tick of 250 ms becomes 10 ms.
const HASTE = 25

/** Real time, but for waits: these are a fraction of what was asked for. */
export const hastyClock: Clock = {
  now: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs / HASTE)
    return () => clearTimeout(timer)
  },
}

/** Both ends of a download. */
export class DownloadFixture implements AsyncDisposable {
  readonly folder: string
  readonly server: FaultServer
  readonly client: RequestClient & Pick<HttpClient, 'close'>

  private constructor(folder: string, server: FaultServer, client: DownloadFixture['client']) {
    this.folder = folder
    this.server = server
    this.client = client
  }

  static async start(
    server: FaultServerOptions,
    client: HttpClientOptions = {},
  ): Promise<DownloadFixture> {
    return new DownloadFixture(
      await mkdtemp(join(tmpdir(), 'ferry-download-')),
      await FaultServer.start(server),
      new HttpClient({ ...client, clock: hastyClock }),
    )
  }

  get target(): string {
    return join(this.folder, 'file.bin')
  }

  get partPath(): string {
    return `${this.target}.part`
  }

  get journalPath(): string {
    return `${this.target}.part.journal`
  }

  start(options: DownloadOptions = {}): Download {
    return download(this.server.url, this.target, {
      client: this.client,
      clock: hastyClock,
      ...options,
    })
  }

  /** Begins a download and aborts it once about `bytes` have come; what has come stays. */
  async runUntil(bytes: number, options: DownloadOptions = {}): Promise<void> {
    const stop = new AbortController()
    const run = this.start({ ...options, signal: stop.signal })
    const isEnough = (): boolean => run.progress().receivedBytes >= bytes
    const timer = setInterval(() => {
      if (isEnough()) stop.abort(new Error('enough'))
    }, 1)
    // However late the timer is on a busy machine.
    this.server.options.hold = isEnough
    try {
      await run.result
    } catch (error) {
      if (!stop.signal.aborted) throw error
    } finally {
      clearInterval(timer)
      this.server.options.hold = undefined
    }
    // What is asked for next is not to meet what was given up.
    await this.server.idle()
  }

  /** Names in the folder, sorted. */
  async names(): Promise<string[]> {
    return (await readdir(this.folder)).sort()
  }

  content(): Promise<Buffer> {
    return readFile(this.target)
  }

  write(name: string, content: string | Buffer): Promise<void> {
    return writeFile(join(this.folder, name), content)
  }

  async sizeOf(name: string): Promise<number | undefined> {
    return (await stat(join(this.folder, name)).catch(() => undefined))?.size
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close()
    await this.server[Symbol.asyncDispose]()
    await rm(this.folder, { recursive: true, force: true })
  }
}

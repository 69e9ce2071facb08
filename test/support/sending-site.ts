/** A folder that receives uploads behind a proxy that can break connections, and one to send from. */
import { UploadServer, type UploadServerOptions } from '../../packages/ferry/src/receive/index.ts'
import {
  type Upload,
  upload,
  type UploadEvent,
  type UploadInput,
  type UploadOptions,
  type UploadProtocolName,
} from '../../packages/ferry/src/upload/index.ts'
import { FaultProxy } from './fault-proxy.ts'
import { TempDir } from './temp-dir.ts'

// Short, so that what comes counts soon.
const CHECKPOINT_MS = 5

/** Both ends of uploads. Whoever opens it closes it. */
export class SendingSite implements AsyncDisposable {
  /** What was received. */
  readonly dir: TempDir
  /** What is sent. */
  readonly source: TempDir
  readonly proxy: FaultProxy
  /** Told by all uploads, in order. */
  readonly events: UploadEvent[] = []
  readonly #options: UploadServerOptions
  #server: UploadServer

  private constructor(
    { dir, source, proxy }: Pick<SendingSite, 'dir' | 'source' | 'proxy'>,
    server: UploadServer,
    options: UploadServerOptions,
  ) {
    this.dir = dir
    this.source = source
    this.proxy = proxy
    this.#server = server
    this.#options = options
  }

  static async open(options: UploadServerOptions = {}): Promise<SendingSite> {
    const dir = await TempDir.create()
    const server = await openServer(dir, options)
    const site: { opened?: SendingSite } = {}
    const proxy = await FaultProxy.open(() => Number(new URL(site.opened?.server.url ?? '').port))
    site.opened = new SendingSite({ dir, source: await TempDir.create(), proxy }, server, options)
    return site.opened
  }

  get server(): UploadServer {
    return this.#server
  }

  /** What the events are, without what differs from run to run. */
  get eventTypes(): string[] {
    return this.events.map(({ type }) => type).filter((type) => type !== 'state')
  }

  urlFor(protocol: UploadProtocolName): string {
    return `${this.proxy.url}/${protocol === 'indexedcp' ? 'upload' : 'files'}`
  }

  send(input: UploadInput, protocol: UploadProtocolName, options: UploadOptions = {}): Upload {
    return upload(input, this.urlFor(protocol), {
      protocol,
      retryDelayMs: 5,
      onEvent: (event) => this.events.push(event),
      ...options,
    })
  }

  /** Resolves when bytes of an upload are kept, once. */
  progress(): Promise<void> {
    return new Promise((resolve) => {
      const end = this.#server.core.subscribe(({ type }) => {
        if (type !== 'progress') return
        end()
        resolve()
      })
    })
  }

  /** Ends the server as a stop of its process would, and starts another on the same folder. */
  async restart(meanwhile: () => void | Promise<void> = () => {}): Promise<void> {
    await this.proxy.goDown()
    await this.#server.close()
    await meanwhile()
    this.#server = await openServer(this.dir, this.#options)
    await this.proxy.comeUp()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]()
    await this.#server.close()
    await this.dir[Symbol.asyncDispose]()
    await this.source[Symbol.asyncDispose]()
  }
}

async function openServer(dir: TempDir, options: UploadServerOptions): Promise<UploadServer> {
  const uploads = { checkpointMs: CHECKPOINT_MS }
  const server = await UploadServer.open(dir.path, { ...options, uploads })
  await server.listen()
  return server
}

/** Content in pieces, as from a pipe. */
export async function* piecesOf(content: Buffer, length: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += length) {
    await Promise.resolve()
    yield content.subarray(at, at + length)
  }
}

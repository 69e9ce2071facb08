/** A server that wants a key, and clients of IndexedCP that share an outbox in a file. */
import { onTestFinished } from 'vitest'
import { KeyRing, type UploadServerOptions } from '../../packages/ferry/src/receive/index.ts'
import {
  openSqliteOutbox,
  UploadClient,
  type UploadClientOptions,
  type UploadEvent,
} from '../../packages/ferry/src/upload/index.ts'
import { SendingSite } from './sending-site.ts'

export const CLIENT_KEY = 'a-key'

/** Both ends. Whoever opens it closes it; clients are closed with their test. */
export class ClientSite implements AsyncDisposable {
  readonly site: SendingSite
  /** Told by all clients, in order. */
  readonly events: (readonly [name: string, type: UploadEvent['type']])[] = []

  private constructor(site: SendingSite) {
    this.site = site
  }

  static async open(
    options: UploadServerOptions = { keys: KeyRing.of(CLIENT_KEY) },
  ): Promise<ClientSite> {
    return new ClientSite(await SendingSite.open(options))
  }

  get url(): string {
    return this.site.urlFor('indexedcp')
  }

  /** As another process would have it. */
  async client(options: UploadClientOptions = {}): Promise<UploadClient> {
    const path = this.site.source.join('outbox.db')
    const outbox = options.outbox ?? (await openSqliteOutbox({ path }))
    const client = new UploadClient({
      apiKey: CLIENT_KEY,
      initialRetryDelay: 5,
      onEvent: (name, { type }) => this.events.push([name, type]),
      ...options,
      outbox,
    })
    onTestFinished(async () => {
      await client.close()
      await outbox.close()
    })
    return client
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.site[Symbol.asyncDispose]()
  }
}

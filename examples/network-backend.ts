/** Puts a network of our own under the pool: names that no resolver knows, and a count of streams. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  type ConnectOptions,
  ConnectionPool,
  HttpRequest,
  type NetworkBackend,
  type NetworkStream,
  NodeBackend,
  type StartTlsOptions,
} from 'ferry/transport'

/** Connects to `*.internal` at an address from a table, to all else as usual. */
class TableBackend implements NetworkBackend {
  opened = 0
  readonly #network = new NodeBackend()
  readonly #table: ReadonlyMap<string, { readonly host: string; readonly port: number }>

  constructor(table: ReadonlyMap<string, { readonly host: string; readonly port: number }>) {
    this.#table = table
  }

  connect(options: ConnectOptions): Promise<NetworkStream> {
    this.opened++
    const { host, tls } = options
    // The certificate must still be for the name that was asked for.
    const protectedAs = tls && { serverName: host, ...tls }
    return this.#network.connect({ ...options, tls: protectedAs, ...this.#table.get(host) })
  }

  // Its streams come from NodeBackend, so that is who can protect them.
  startTls(stream: NetworkStream, options: StartTlsOptions): Promise<NetworkStream> {
    return this.#network.startTls(stream, options)
  }
}

await using server = createServer((request, response) => response.end(request.headers.host))
await once(server.listen(0, '127.0.0.1'), 'listening')
const { port } = server.address() as AddressInfo

const backend = new TableBackend(new Map([['orders.internal', { host: '127.0.0.1', port }]]))
await using client = new ConnectionPool({ backend })
for (const path of ['/1', '/2']) {
  const response = await client.request(new HttpRequest('GET', `http://orders.internal${path}`))
  console.log(`${path}: ${(await response.body.bytes()).toString()}`)
}
console.log(`streams opened: ${backend.opened}`)

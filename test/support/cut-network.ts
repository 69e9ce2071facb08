/** A network before a server that breaks once: everything goes through a port of its own. */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'

/** Passes connections on. Whoever opens it closes it. */
export class CutNetwork implements AsyncDisposable {
  readonly port: number
  /** Whether the cut has come. */
  isCut = false
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
  }

  /** Breaks every connection once, when clients have sent so many bytes. */
  static async open(target: number, cutAfterBytes: number): Promise<CutNetwork> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const network = new CutNetwork(server)
    let left = cutAfterBytes
    server.on('connection', (client) => {
      const upstream = connect(target, '127.0.0.1')
      network.#join(client, upstream)
      client.on('data', ({ length }) => {
        left -= length
        if (left <= 0 && !network.isCut) network.#cut()
      })
    })
    return network
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #join(client: Socket, upstream: Socket): void {
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(one)
      one.on('error', () => {})
      one.once('close', () => {
        this.#sockets.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  }

  #cut(): void {
    this.isCut = true
    for (const socket of this.#sockets) socket.destroy()
  }
}

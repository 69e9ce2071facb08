/** A server of node:net or node:tls on a free port of the loopback, closed with all its sockets. */
import {
  createServer as createTcpServer,
  type AddressInfo,
  type Server,
  type Socket,
} from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { Certificate } from './certificates.ts'

/** A listening server. Whoever opens it disposes of it. */
export class LoopbackServer implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server) {
    this.#server = server
    server.on('connection', (socket: Socket) => this.#sockets.add(socket))
  }

  /** Listens; `onSocket` gets each connection, once secured where there is a certificate. */
  static async open(
    onSocket: (socket: Socket) => void = () => {},
    certificate?: Certificate,
  ): Promise<LoopbackServer> {
    const accept = (socket: Socket): void => {
      socket.on('error', () => {})
      onSocket(socket)
    }
    const server =
      certificate === undefined
        ? createTcpServer(accept)
        : createTlsServer({ ...certificate, ALPNProtocols: ['h2', 'http/1.1'] }, accept)
    const opened = new LoopbackServer(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return opened
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Connections that stand now. */
  get connections(): number {
    return [...this.#sockets].filter(({ destroyed }) => !destroyed).length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

/** The server of the package `ws`, which echoes what it gets. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws'
import type { Certificate } from '../../packages/ferry/src/testing/certificates.ts'

/** A running server. Whoever starts it disposes of it. */
export class EchoServer implements AsyncDisposable {
  readonly #http: ReturnType<typeof createServer>
  readonly #server: WebSocketServer
  readonly #scheme: 'ws' | 'wss'
  /** How each socket was closed: `1000 bye`. */
  readonly closes: string[] = []

  private constructor(
    http: ReturnType<typeof createServer>,
    server: WebSocketServer,
    scheme: 'ws' | 'wss',
  ) {
    this.#http = http
    this.#server = server
    this.#scheme = scheme
    server.on('connection', (socket) => {
      socket.on('error', () => {})
      socket.on('close', (code, reason) => this.closes.push(`${code} ${reason.toString()}`.trim()))
    })
  }

  static async start(
    options: ServerOptions & {
      readonly certificate?: Certificate
      /** Called instead of echoing. */
      readonly onSocket?: (socket: WebSocket) => void
    } = {},
  ): Promise<EchoServer> {
    const { certificate, onSocket = echo, ...settings } = options
    const http = certificate === undefined ? createServer() : createTlsServer({ ...certificate })
    const server = new WebSocketServer({ server: http, ...settings })
    server.on('connection', onSocket)
    await once(http.listen(0, '127.0.0.1'), 'listening')
    return new EchoServer(http, server, certificate === undefined ? 'ws' : 'wss')
  }

  get port(): number {
    return (this.#http.address() as AddressInfo).port
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.port}/echo`
  }

  /** Sockets that are open now. */
  get sockets(): ReadonlySet<WebSocket> {
    return this.#server.clients
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate()
    this.#http.closeAllConnections()
    await new Promise((resolve) => this.#http.close(resolve))
  }
}

function echo(socket: WebSocket): void {
  socket.on('message', (bytes, isBinary) => socket.send(bytes as Buffer, { binary: isBinary }))
}

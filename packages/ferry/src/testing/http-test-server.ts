/** A server of node:http on the loopback that remembers what it was asked, for tests of the client. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Certificate } from './certificates.ts'

/** Answers a request whose content is being gathered. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** A listening server. Whoever starts it disposes of it. */
export class HttpTestServer implements AsyncDisposable {
  /** Every request, in the order of arrival. */
  readonly requests: IncomingMessage[] = []
  /** Their contents, of those that have come whole, one character a byte. */
  readonly bodies: string[] = []
  readonly #server: Server
  readonly #scheme: string
  readonly #sockets = new Set<Socket>()

  private constructor(answer: Answer, certificate: Certificate | undefined) {
    const accept = (request: IncomingMessage, response: ServerResponse): void => {
      this.#gather(this.requests.push(request) - 1, request)
      answer(request, response)
    }
    this.#scheme = certificate === undefined ? 'http' : 'https'
    this.#server =
      certificate === undefined ? createServer(accept) : createSecureServer(certificate, accept)
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  /** Listens; with a certificate, over TLS. */
  static async start(answer: Answer, certificate?: Certificate): Promise<HttpTestServer> {
    const server = new HttpTestServer(answer, certificate)
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve))
    return server
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  url(path = '/'): string {
    return `${this.#scheme}://${this.host}${path}`
  }

  /** Method and path of each request. */
  get asked(): string[] {
    return this.requests.map(({ method, url }) => `${method} ${url}`)
  }

  /** Connections that stand now. */
  get connections(): number {
    return this.#sockets.size
  }

  /** The values of a field, of each request in turn. */
  received(name: string): (string | undefined)[] {
    return this.requests.map(({ headers }) => headers[name] as string | undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<unknown>((resolve) => this.#server.close(resolve))
  }

  #gather(index: number, request: IncomingMessage): void {
    let text = ''
    request.setEncoding('latin1').on('data', (piece: string) => (text += piece))
    request.on('end', () => (this.bodies[index] = text))
    request.on('error', () => {})
  }
}

/** Refuses the first `count` requests, once they have come whole; then says hello. */
export function refuse(
  count: number,
  status: number,
  headers: Record<string, string> = {},
): Answer {
  let seen = 0
  return (request, response) => {
    request.on('end', () => {
      if (seen++ < count) response.writeHead(status, headers).end('no')
      else response.end('hello')
    })
  }
}

/** Node's HTTP/2 server that takes extended CONNECT (RFC 8441) and echoes frames. */
import { once } from 'node:events'
import {
  createSecureServer,
  type Http2SecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { Certificate } from '../../packages/ferry/src/testing/certificates.ts'
import { formatClose, formatFrame, OPCODES, parseFrames } from './websocket-frames.ts'

/** A running server. Whoever starts it disposes of it. */
export class Http2EchoServer implements AsyncDisposable {
  readonly requests: IncomingHttpHeaders[] = []
  /** The code with which each stream was reset; 0 for none. */
  readonly closes: number[] = []
  sessions = 0
  readonly #server: Http2SecureServer

  private constructor(server: Http2SecureServer) {
    this.#server = server
    server.on('session', () => this.sessions++)
    server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      this.requests.push(headers)
      stream.on('error', () => {}).on('close', () => this.closes.push(stream.rstCode))
      if (headers[':path'] === '/echo') echo(stream, headers)
      else stream.respond({ ':status': 403, 'x-why': 'closed' }, { endStream: true })
    })
  }

  static async start(certificate: Certificate): Promise<Http2EchoServer> {
    const server = createSecureServer({
      ...certificate,
      settings: { enableConnectProtocol: true },
    })
    const opened = new Http2EchoServer(server)
    await once(server.listen(0, '127.0.0.1'), 'listening')
    return opened
  }

  url(path: string): string {
    return `wss://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

function echo(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const protocol = headers['sec-websocket-protocol']
  stream.respond(protocol === undefined ? {} : { 'sec-websocket-protocol': protocol })
  let rest: Buffer = Buffer.alloc(0)
  stream.on('data', (bytes: Buffer) => {
    const parsed = parseFrames(Buffer.concat([rest, bytes]))
    rest = parsed.rest
    for (const { opcode, payload } of parsed.frames) {
      if (opcode === OPCODES.close) stream.end(formatClose(1000, 'bye'))
      else stream.write(formatFrame(opcode === OPCODES.ping ? OPCODES.pong : opcode, payload))
    }
  })
}

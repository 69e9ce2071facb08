/** A WebSocket server made of bytes: it shakes hands as told and then sends whatever a test likes. */
import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Certificate } from '../../packages/ferry/src/testing/certificates.ts'
import { LoopbackServer } from '../../packages/ferry/src/testing/loopback-server.ts'
import { type ClientFrame, describeFrame, parseFrames } from './websocket-frames.ts'

/** One client, after the handshake. */
export class PeerSocket {
  readonly socket: Socket
  /** The head of its request. */
  readonly request: string
  readonly frames: ClientFrame[] = []
  /** The client has ended its side, or is gone. */
  ended = false
  #rest: Buffer = Buffer.alloc(0)

  constructor(socket: Socket, request: string) {
    this.socket = socket
    this.request = request
    socket.on('end', () => (this.ended = true)).on('close', () => (this.ended = true))
  }

  /** What the client has sent, one line a frame. */
  get said(): string[] {
    return this.frames.map(describeFrame)
  }

  send(...parts: readonly (string | Uint8Array)[]): void {
    for (const part of parts) this.socket.write(part)
  }

  /** Takes bytes of the client. */
  receive(bytes: Buffer): void {
    const { frames, rest } = parseFrames(Buffer.concat([this.#rest, bytes]))
    this.frames.push(...frames)
    this.#rest = rest
  }
}

export interface PeerOptions {
  /** What is sent instead of a right answer, given the key of the client. */
  readonly answer?: ((key: string) => string | Uint8Array) | undefined
  /** What comes in the same packet as the head. */
  readonly greeting?: Uint8Array | undefined
  readonly certificate?: Certificate | undefined
}

/** The value of Sec-WebSocket-Accept (RFC 6455 §4.2.2), worked out on its own. */
export function acceptFor(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}

/** A right answer, with further lines. */
export function switching(key: string, ...lines: readonly string[]): string {
  return [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${acceptFor(key)}`,
    ...lines,
    '\r\n',
  ].join('\r\n')
}

/** A listening peer. Whoever opens it disposes of it. */
export class WebSocketPeer implements AsyncDisposable {
  /** Those that were answered, in order. */
  readonly clients: readonly PeerSocket[]
  readonly #server: LoopbackServer
  readonly #scheme: 'ws' | 'wss'

  private constructor(
    server: LoopbackServer,
    options: { clients: readonly PeerSocket[]; scheme: 'ws' | 'wss' },
  ) {
    this.#server = server
    this.clients = options.clients
    this.#scheme = options.scheme
  }

  /** `onOpen` gets each client once it has been answered. */
  static async open(
    onOpen: (client: PeerSocket) => void = () => {},
    options: PeerOptions = {},
  ): Promise<WebSocketPeer> {
    const clients: PeerSocket[] = []
    const server = await LoopbackServer.open((socket) => {
      void shakeHands(socket, options).then((client) => {
        clients.push(client)
        onOpen(client)
      })
    }, options.certificate)
    const scheme = options.certificate === undefined ? 'ws' : 'wss'
    return new WebSocketPeer(server, { clients, scheme })
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.#server.port}/chat`
  }

  /** Connections that stand now. */
  get connections(): number {
    return this.#server.connections
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server[Symbol.asyncDispose]()
  }
}

function shakeHands(socket: Socket, options: PeerOptions): Promise<PeerSocket> {
  return new Promise((resolve) => {
    let received = Buffer.alloc(0)
    let client: PeerSocket | undefined
    socket.on('data', (bytes: Buffer) => {
      if (client !== undefined) {
        client.receive(bytes)
        return
      }
      received = Buffer.concat([received, bytes])
      const end = received.indexOf('\r\n\r\n')
      if (end === -1) return
      const request = received.subarray(0, end).toString('latin1')
      client = new PeerSocket(socket, request)
      client.receive(received.subarray(end + 4))
      const key = /^sec-websocket-key: (.*)$/im.exec(request)?.[1] ?? ''
      const answer = options.answer?.(key) ?? switching(key)
      socket.write(Buffer.concat([Buffer.from(answer), options.greeting ?? Buffer.alloc(0)]))
      resolve(client)
    })
  })
}

/** A server whose answers are bytes of our choice, and that counts what it was asked. */
import type { Socket } from 'node:net'
import { LoopbackServer } from '../../packages/ferry/src/testing/loopback-server.ts'

/** A request as it came. */
export interface CountedRequest {
  /** Of all that came, from 1. */
  readonly number: number
  /** Of those on its connection, from 1. */
  readonly onConnection: number
  readonly head: string
  readonly socket: Socket
}

const HEAD_END = '\r\n\r\n'

/** A listening server. Whoever opens it disposes of it. */
export class CountingServer implements AsyncDisposable {
  readonly requests: CountedRequest[] = []
  #server: LoopbackServer | undefined

  private constructor() {}

  /** Listens; each request is answered by what `answer` writes. */
  static async open(answer: (request: CountedRequest) => void): Promise<CountingServer> {
    const opened = new CountingServer()
    opened.#server = await LoopbackServer.open((socket) => opened.#serve(socket, answer))
    return opened
  }

  get port(): number {
    return (this.#server as LoopbackServer).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]()
  }

  #serve(socket: Socket, answer: (request: CountedRequest) => void): void {
    let received = ''
    let onConnection = 0
    socket.setEncoding('latin1').on('data', (text: string) => {
      received += text
      for (let length = requestLength(received); length !== -1; length = requestLength(received)) {
        const head = received.slice(0, received.indexOf(HEAD_END))
        received = received.slice(length)
        const number = this.requests.length + 1
        const request = { number, onConnection: ++onConnection, head, socket }
        this.requests.push(request)
        answer(request)
      }
    })
  }
}

/** Characters of the first request; -1 while it is not whole. Chunked content ends with its last chunk. */
function requestLength(received: string): number {
  const headEnd = received.indexOf(HEAD_END)
  if (headEnd === -1) return -1
  const head = received.slice(0, headEnd + 2)
  const contentAt = headEnd + HEAD_END.length
  if (/\r\ntransfer-encoding: chunked\r\n/i.test(head)) {
    const end = received.indexOf(`0${HEAD_END}`, contentAt)
    return end === -1 ? -1 : end + 1 + HEAD_END.length
  }
  const length = contentAt + Number(/\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1] ?? '0')
  return received.length < length ? -1 : length
}

/** A server of node:http for the tests of `ferry fetch`: echoes, redirects, fails, breaks off. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'

/** What the server was asked. */
export interface SeenRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

type Answer = (request: SeenRequest, response: ServerResponse) => unknown

export const JSON_TEXT = '{"id":12345678901234567890,"tags":["a",{}],"ok":true}'
// Two seconds.
const SLOW_BYTES = 2_000_000
const SLOW_PIECE = Buffer.alloc(20_000, 'x')
const SLOW_MS = 20
const BIG_PIECE = Buffer.alloc(1_048_576, 'x')

/** Answers by path; any other is answered with the request, as JSON. */
const ANSWERS: Readonly<Record<string, Answer>> = {
  '/json': (_, response) => sendJson(response, 200, JSON_TEXT),
  '/missing': (_, response) => sendJson(response, 404, '{"error":"no such item"}'),
  '/denied': (_, response) => sendJson(response, 401, '{"error":"who are you"}'),
  '/moved': (_, response) => response.writeHead(302, { Location: '/json?key=query-55aa' }).end(),
  '/kept': (_, response) => response.writeHead(307, { Location: '/echo' }).end(),
  '/loop': (_, response) => response.writeHead(302, { Location: '/loop' }).end(),
  '/unmodified': (_, response) => response.writeHead(304).end(),
  '/gzip': (_, response) =>
    response
      .writeHead(200, { 'Content-Encoding': 'gzip', 'Content-Type': 'text/plain' })
      .end(gzipSync('plain text')),
  '/binary': (_, response) =>
    response.writeHead(200, { 'Content-Type': 'image/png' }).end(Buffer.from([0x89, 0x50, 0, 1])),
  '/text': (_, response) => response.writeHead(200, { 'Content-Type': 'text/plain' }).end('a line'),
  '/cut': (_, response) => {
    response.writeHead(200, { 'Content-Length': '100' }).write('some')
    setTimeout(() => response.destroy(), 50)
  },
  '/silent': () => {},
  '/slow': (_, response) => {
    response.writeHead(200, { 'Content-Length': String(SLOW_BYTES) })
    let sentBytes = 0
    const timer = setInterval(() => {
      sentBytes += SLOW_PIECE.length
      response.write(SLOW_PIECE)
      if (sentBytes === SLOW_BYTES) response.end()
    }, SLOW_MS)
    response.on('close', () => clearInterval(timer))
  },
  '/endless': async (_, response) => {
    response.writeHead(200, { 'Content-Type': 'text/plain' })
    while (!response.destroyed) if (!response.write(BIG_PIECE)) await roomIn(response)
  },
}

/** A listening server. Whoever starts it disposes of it. */
export class FetchServer implements AsyncDisposable {
  readonly requests: SeenRequest[] = []
  readonly #responses: ServerResponse[] = []
  readonly #server: Server
  readonly #answers: Readonly<Record<string, Answer>>

  private constructor(answers: Readonly<Record<string, Answer>>) {
    this.#answers = { ...ANSWERS, ...answers }
    this.#server = createServer((request, response) => void this.#answer(request, response))
  }

  /** Listens; `answers` by path are looked at first. */
  static async start(answers: Readonly<Record<string, Answer>> = {}): Promise<FetchServer> {
    const server = new FetchServer(answers)
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve))
    return server
  }

  url(path: string): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`
  }

  /** Bytes that its system has taken of all answers. */
  get sentBytes(): number {
    return this.#responses.reduce((sum, { socket }) => sum + (socket?.bytesWritten ?? 0), 0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    const { method = '', url = '', headers } = request
    const seen = { method, url, headers, body: Buffer.concat(pieces).toString() }
    this.requests.push(seen)
    this.#responses.push(response)
    const path = url.replace(/\?.*$/s, '')
    const answer = Object.hasOwn(this.#answers, path) ? this.#answers[path] : undefined
    if (answer === undefined) sendJson(response, 200, JSON.stringify(seen))
    else await answer(seen, response)
  }
}

function sendJson(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(text)
}

/** Waits until more is welcome, or nothing ever again. */
async function roomIn(response: ServerResponse): Promise<void> {
  const done = new AbortController()
  const { signal } = done
  await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })])
  done.abort()
}

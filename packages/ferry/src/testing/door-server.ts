/** Doors behind a real server of Node's, and requests to it with all that a client of uploads sends. */
import { createServer, type IncomingHttpHeaders, request, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Door } from '../receive/doors/door.ts'
import type { UploadCore } from '../receive/upload-core.ts'

/** What a test sends. */
export interface TestRequest {
  readonly method: string
  /** Below the server's URL, or the whole URL. */
  readonly url: string
  readonly fields?: Readonly<Record<string, string>>
  /** A list is sent in chunked coding. */
  readonly body?: string | readonly string[]
  readonly trailers?: Readonly<Record<string, string>>
}

/** What a test got. */
export interface TestResponse {
  readonly status: number
  readonly reason: string
  readonly fields: IncomingHttpHeaders
  readonly body: string
  readonly interims: readonly { readonly status: number; readonly fields: IncomingHttpHeaders }[]
}

/**
 * Serves one core by some doors. Whoever opens it closes it, which waits for the doors; the core stays
 * open.
 */
export class DoorServer implements AsyncDisposable {
  /** Ends without a slash. */
  readonly url: string
  /** What doors have rejected with. */
  readonly failures: readonly unknown[]
  /** Open connections. */
  readonly sockets: Set<Socket> = new Set()
  /** As with versions of Node that cannot write interim responses themselves. */
  withoutInformation = false
  readonly #server: Server
  readonly #handled: ReadonlySet<Promise<void>>

  private constructor(
    server: Server,
    { failures, handled }: { failures: readonly unknown[]; handled: ReadonlySet<Promise<void>> },
  ) {
    server.prependListener('request', (_, response) => {
      if (this.withoutInformation) Object.assign(response, { writeInformation: undefined })
    })
    const { port } = server.address() as AddressInfo
    this.url = `http://127.0.0.1:${port}`
    this.failures = failures
    this.#server = server
    this.#handled = handled
    server.on('connection', (socket) => {
      this.sockets.add(socket)
      socket.once('close', () => this.sockets.delete(socket))
    })
  }

  /**
   * Requests with Tus-Resumable go to the first door, others to the last; the field X-Owner says whose
   * they are.
   */
  static async open(core: UploadCore, ...doors: readonly [Door, ...Door[]]): Promise<DoorServer> {
    const failures: unknown[] = []
    const handled = new Set<Promise<void>>()
    const server = createServer((incoming, response) => {
      const { pathname, searchParams } = new URL(incoming.url ?? '', 'http://localhost')
      const isTus = 'tus-resumable' in incoming.headers
      const door = (isTus ? doors[0] : doors.at(-1)) as Door
      const owner = incoming.headers['x-owner'] as string | undefined
      const context = { core, owner, path: pathname, query: searchParams }
      handled.add(
        door.handle(incoming, response, context).catch((error: unknown) => {
          failures.push(error)
        }),
      )
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new DoorServer(server, { failures, handled })
  }

  /** Sends a request on a connection of its own, and resolves with the whole answer. */
  send({ method, url, fields = {}, body, trailers }: TestRequest): Promise<TestResponse> {
    return new Promise((resolve, reject) => {
      const isChunked = Array.isArray(body)
      const length = typeof body === 'string' ? { 'Content-Length': Buffer.byteLength(body) } : {}
      const sent = request(new URL(url, this.url), {
        method,
        agent: false,
        headers: { ...length, ...(isChunked ? { 'Transfer-Encoding': 'chunked' } : {}), ...fields },
      })
      const interims: TestResponse['interims'][number][] = []
      sent.on('information', ({ statusCode, headers }) =>
        interims.push({ status: statusCode, fields: headers }),
      )
      sent.on('error', reject)
      sent.on('response', (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => (text += part))
        response.on('end', () =>
          resolve({
            status: response.statusCode as number,
            reason: response.statusMessage as string,
            fields: response.headers,
            body: text,
            interims,
          }),
        )
      })
      for (const chunk of isChunked ? (body as readonly string[]) : [body]) {
        if (chunk !== undefined) sent.write(chunk)
      }
      if (trailers !== undefined) sent.addTrailers(trailers)
      sent.end()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await Promise.all(this.#handled)
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

/**
 * A node:http server, a ConnectionPool, and requests that go through interceptors to it, for tests.
 * Closes both when disposed of.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Interceptor, sendThrough } from '../client/interceptor.ts'
import { ConnectionPool } from '../transport/connection-pool.ts'
import { HttpRequest, type HttpRequestInit } from '../transport/http-request.ts'
import type { HttpResponse } from '../transport/http-response.ts'

/** One request, as a test gives it. */
export interface FixtureRequest extends HttpRequestInit {
  readonly signal?: AbortSignal
  readonly attempt?: number
}

/** A server with what it was asked, and a way to it. */
export class InterceptorFixture implements AsyncDisposable {
  readonly requests: IncomingMessage[] = []
  readonly pool = new ConnectionPool()
  readonly #server: Server
  #interceptors: readonly Interceptor[] = []

  private constructor(listener: (request: IncomingMessage, response: ServerResponse) => void) {
    this.#server = createServer((request, response) => {
      this.requests.push(request)
      request.resume()
      listener(request, response)
    })
  }

  static async start(
    listener: (request: IncomingMessage, response: ServerResponse) => void,
    ...interceptors: readonly Interceptor[]
  ): Promise<InterceptorFixture> {
    const fixture = new InterceptorFixture(listener)
    fixture.use(...interceptors)
    await new Promise<void>((resolve) => fixture.#server.listen(0, '127.0.0.1', resolve))
    return fixture
  }

  /** Takes the place of the interceptors there were. */
  use(...interceptors: readonly Interceptor[]): void {
    this.#interceptors = interceptors
  }

  url(path = '/'): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`
  }

  /** The values of a field, of each request in turn. */
  received(name: string): (string | undefined)[] {
    return this.requests.map(({ headers }) => headers[name] as string | undefined)
  }

  /** Method and path of each request in turn. */
  get asked(): string[] {
    return this.requests.map(({ method, url }) => `${method} ${url}`)
  }

  /** Sends a request to the server through the interceptors. */
  send(
    method: string,
    path = '/',
    { signal, attempt = 1, ...init }: FixtureRequest = {},
  ): Promise<HttpResponse> {
    return sendThrough(this.#interceptors, new HttpRequest(method, this.url(path), init), {
      attempt,
      signal,
      send: (request) => this.pool.request(request, { signal }),
    })
  }

  /** Gets a path and reads it whole. */
  async get(path = '/', init: FixtureRequest = {}): Promise<{ status: number; text: string }> {
    const response = await this.send('GET', path, init)
    return { status: response.status, text: (await response.body.bytes()).toString() }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool.close()
    this.#server.closeAllConnections()
    await new Promise<unknown>((resolve) => this.#server.close(resolve))
  }
}

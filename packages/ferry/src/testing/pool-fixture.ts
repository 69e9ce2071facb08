/**
 * A ConnectionPool on a network in memory and a clock moved by hand, for tests.
 * Closes its pool when disposed of.
 */
import { MemoryBackend, type MemoryStream } from '../net/memory-backend.ts'
import { ConnectionPool } from '../transport/connection-pool.ts'
import type { ConnectionPoolOptions } from '../transport/pool-options.ts'
import { HttpRequest } from '../transport/http-request.ts'
import { FakeClock } from './fake-clock.ts'
import { RecordingHandler } from './recording-handler.ts'

export const HELLO = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'
export const CLOSING_HELLO = HELLO.replace('\r\n', '\r\nConnection: close\r\n')
export const GET: HttpRequest = new HttpRequest('GET', 'http://a/')

/** A pool and both its rims. */
export class PoolFixture implements AsyncDisposable {
  readonly clock = new FakeClock()
  readonly backend = new MemoryBackend()
  readonly pool: ConnectionPool

  constructor(options: ConnectionPoolOptions = {}) {
    this.pool = new ConnectionPool({ backend: this.backend, clock: this.clock, ...options })
  }

  /** Sends a GET and records its response. */
  dispatch(url = 'http://a/', signal?: AbortSignal): RecordingHandler {
    return this.send(new HttpRequest('GET', url), signal)
  }

  send(request: HttpRequest, signal?: AbortSignal): RecordingHandler {
    const handler = new RecordingHandler()
    this.pool.dispatch(request, handler, { signal })
    return handler
  }

  /** Lets every promise go on that can. */
  turn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve))
  }

  state(): string {
    return this.pool.toString()
  }

  /** The far side of a connection, counted in the order they were opened. */
  stream(index: number): MemoryStream {
    const stream = this.backend.streams.at(index)
    if (stream === undefined) throw new RangeError(`No connection ${index} was opened`)
    return stream
  }

  lastStream(): MemoryStream {
    return this.stream(-1)
  }

  /** How many requests each connection has been given. */
  requestCounts(): number[] {
    return this.backend.streams.map(({ written }) => written.split(' HTTP/1.1\r\n').length - 1)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.pool.close()
  }
}

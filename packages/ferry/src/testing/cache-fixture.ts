/**
 * A server whose response fields stand in the query of the URL, and a cache in front of it with a clock
 * moved by hand, for tests.
 *
 *     /path?cache-control=max-age%3D60&etag="a"     fields of the response
 *     …&status=404&body=text                        and these; the body is `n1`, `n2` … otherwise
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { cacheResponses, type CacheOptions } from '../client/cache/cache-responses.ts'
import { cacheUseOf } from '../client/cache/cache-use.ts'
import { type FixtureRequest, InterceptorFixture } from './interceptor-fixture.ts'

type Listener = (request: IncomingMessage, response: ServerResponse) => void

/** The path of a response with these fields. */
export function pathWith(fields: Record<string, string>, path = '/'): string {
  return `${path}?${new URLSearchParams(fields).toString()}`
}

/** A cache and the server behind it. */
export class CacheFixture implements AsyncDisposable {
  readonly server: InterceptorFixture
  /** Answers in the place of the query, while it is set. */
  listener: Listener | undefined
  #now = Date.now()
  #count = 0

  private constructor(server: InterceptorFixture) {
    this.server = server
  }

  static async start(options: CacheOptions = {}): Promise<CacheFixture> {
    const server = await InterceptorFixture.start((request, response) => {
      response.setHeader('Date', new Date(fixture.#now).toUTCString())
      const answer = fixture.listener ?? fixture.#answer
      answer(request, response)
    })
    const fixture: CacheFixture = new CacheFixture(server)
    server.use(cacheResponses({ now: () => fixture.#now, ...options }))
    return fixture
  }

  /** Moves the time of both. */
  advance(seconds: number): void {
    this.#now += seconds * 1000
  }

  /** `n1 fresh`: the content and what the cache did; the status before it unless it is 200. */
  async get(path: string, init: FixtureRequest = {}, method = 'GET'): Promise<string> {
    const response = await this.server.send(method, path, init)
    const content = (await response.body.bytes()).toString()
    const status = response.status === 200 ? [] : [response.status]
    return [...status, content, cacheUseOf(response) ?? 'server'].join(' ')
  }

  /** How often the server was asked. */
  get asked(): number {
    return this.server.requests.length
  }

  readonly #answer: Listener = ({ url = '', headers }, response) => {
    const fields = new URL(url, 'http://a/').searchParams
    this.#count++
    const status = Number(fields.get('status') ?? 200)
    const body = fields.get('body') ?? `n${this.#count}`
    for (const [name, value] of fields) {
      if (name !== 'status' && name !== 'body') response.appendHeader(name, value)
    }
    const isSame =
      (fields.has('etag') && headers['if-none-match'] === fields.get('etag')) ||
      (fields.has('last-modified') &&
        headers['if-modified-since'] === fields.get('last-modified') &&
        headers['if-none-match'] === undefined)
    response.statusCode = isSame ? 304 : status
    response.end(isSame || status === 204 ? undefined : body)
  };

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]()
  }
}

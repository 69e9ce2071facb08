/**
 * A response as the client gives it: the head at once, the content decoded, and read in whatever form
 * is wanted. What was read whole is kept, so that it can be asked for again in another form.
 */
import { HttpStatusError, NetworkError } from '../errors.ts'
import type { HeaderFields } from '../protocol/semantics/header-fields.ts'
import type { ConnectionFacts, ExchangeTimings } from '../transport/connection.ts'
import type { ServerEvent } from '../transport/event-source/event-queue.ts'
import type { HttpRequest } from '../transport/http-request.ts'
import type { HttpResponse } from '../transport/http-response.ts'
import type { HttpUrl } from '../transport/http-url.ts'
import type { ResponseBody } from '../transport/response-body.ts'
import { createResponseStream } from '../transport/response-stream.ts'
import { decodeText } from './body/decode-text.ts'
import { type ParseJsonOptions, parseJsonBody } from './body/json-body.ts'
import { explained } from './body/explained.ts'
import { readEvents } from './body/read-events.ts'
import { readLines } from './body/read-lines.ts'

/** What is known of a response besides itself. */
export interface ClientResponseOptions {
  /** The request that it answers, the last of several. */
  readonly request: HttpRequest
  /** How often the request was sent. */
  readonly attempts: number
  /** Most content that is read whole. */
  readonly maxBytes: number
  /** See `ClientResponse.secretsOrigin`. */
  readonly secretsOrigin?: string | undefined
  /** The content, when it was read already. */
  readonly bytes?: Buffer | undefined
}

const EXCERPT_CHARACTERS = 200

/** A response. Whoever receives it takes its content to the end, or cancels it. */
export class ClientResponse implements Disposable {
  readonly #response: HttpResponse
  readonly #options: ClientResponseOptions
  #body: ResponseBody | undefined
  #bytes: Promise<Buffer> | undefined
  #read: Buffer | undefined

  constructor(response: HttpResponse, options: ClientResponseOptions) {
    this.#response = response
    this.#options = options
    this.#read = options.bytes
    if (options.bytes === undefined) response.body.explainFailure((error) => this.#describe(error))
  }

  get status(): number {
    return this.#response.status
  }

  /** The same as `status`. */
  get statusCode(): number {
    return this.#response.status
  }

  get statusText(): string {
    return this.#response.statusText
  }

  /** Whether the status is 200 to 399. */
  get ok(): boolean {
    return this.status >= 200 && this.status < 400
  }

  get headers(): HeaderFields {
    return this.#response.headers
  }

  get version(): HttpResponse['version'] {
    return this.#response.version
  }

  /** Where it came from, after redirections. */
  get url(): HttpUrl {
    return this.#response.url
  }

  /** The request that it answers, the last of several. */
  get request(): HttpRequest {
    return this.#options.request
  }

  /** How often the request was sent, 1 without a retry. */
  get attempts(): number {
    return this.#options.attempts
  }

  /** @internal The origin (its key) that secrets went to; undefined when the way to it had left one. */
  get secretsOrigin(): string | undefined {
    return this.#options.secretsOrigin
  }

  /** How long its parts took; undefined for one that no server sent. */
  get timings(): ExchangeTimings | undefined {
    return this.#response.timings
  }

  get connection(): ConnectionFacts | undefined {
    return this.#response.connection
  }

  /** The content as it comes, decoded; taken once. */
  get body(): ResponseBody {
    // What was read is given from memory.
    return (this.#body ??=
      this.#options.bytes === undefined
        ? this.#response.body
        : createResponseStream(this.#options.bytes))
  }

  /** All of the content. @throws {StreamError} when it is longer than `maxBytes`, or breaks off */
  bytes(): Promise<Buffer> {
    if (this.#read !== undefined) return Promise.resolve(this.#read)
    this.#bytes ??= this.body.bytes(this.#options.maxBytes).then(
      (bytes) => (this.#read = bytes),
      (error: Error) => {
        throw this.#describe(error)
      },
    )
    return this.#bytes
  }

  /** All of the content as text, by the charset of Content-Type; UTF-8 without one. */
  async text(): Promise<string> {
    return decodeText(await this.bytes(), this.headers.get('content-type'))
  }

  /**
   * All of the content, parsed; undefined where there is none.
   * @throws {RemoteProtocolError} when it is no JSON; the message says where
   */
  async json<Value = unknown>(options?: Pick<ParseJsonOptions, 'reviver'>): Promise<Value> {
    const bytes = this.#read ?? (await this.bytes())
    // A change that a server answers with 200 and nothing has been made all the same.
    if (bytes.length === 0) return undefined as Value
    const contentType = this.headers.get('content-type')
    try {
      const what = (): string => this.#what
      return parseJsonBody(bytes, what, { reviver: options?.reviver, contentType }) as Value
    } catch (error) {
      throw this.#describe(error as Error)
    }
  }

  /** The lines of the content, as they come. */
  lines(): AsyncIterable<string> {
    const contentType = this.headers.get('content-type')
    const lines = readLines(this.body, { contentType, what: this.#what })
    return explained(lines, (error) => this.#describe(error as Error))
  }

  /** The server-sent events of the content, as they come. */
  events(): AsyncIterable<ServerEvent> {
    const events = readEvents(this.body, { what: this.#what })
    return explained(events, (error) => this.#describe(error as Error))
  }

  /** @throws {HttpStatusError} when the status is 400 or more @returns itself */
  raiseForStatus(): this {
    if (this.status >= 400) throw this.#describe(this.toError())
    return this
  }

  /** Gives the content up. */
  cancel(): void {
    this.body.cancel()
  }

  [Symbol.dispose](): void {
    this.cancel()
  }

  /**
   * @internal Reads so much that an error can quote it, and gives the rest up, as it does when the
   * signal aborts. Never fails.
   */
  async excerpt(maxBytes: number, signal?: AbortSignal): Promise<void> {
    const { body } = this
    if (this.#read !== undefined || body.used) return
    const onAbort = (): void => body.cancel()
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted === true) onAbort()
    const pieces: Uint8Array[] = []
    let bytes = 0
    try {
      for await (const piece of body) {
        pieces.push(piece)
        bytes += piece.length
        if (bytes >= maxBytes) break
      }
    } catch {
      // What came before it broke off may say enough.
    }
    signal?.removeEventListener('abort', onAbort)
    this.#read = Buffer.concat(pieces)
  }

  /** @internal The error for its status. */
  toError(): HttpStatusError {
    const { status, statusText, headers, request } = this
    const words = statusText === '' ? String(status) : `${status} ${statusText}`
    const excerpt = this.#read === undefined ? undefined : excerptOf(this.#read, headers)
    return new HttpStatusError(`Cannot ${request.method} ${this.url.label}: ${words}`, {
      status,
      statusText,
      headers,
      excerpt,
    })
  }

  #describe(error: Error): Error {
    const { method } = this.request
    const request = { method, url: this.url.label, attempts: this.attempts }
    return error instanceof NetworkError ? error.describe(request) : error
  }

  /** `GET http://h/x` */
  get #what(): string {
    return `${this.request.method} ${this.url.label}`
  }
}

/** The beginning of content that is text. */
function excerptOf(bytes: Buffer, headers: HeaderFields): string | undefined {
  const contentType = headers.get('content-type')
  if (
    contentType !== undefined &&
    !/^(?:text\/|application\/[\w.+-]*(?:json|xml))/i.test(contentType)
  ) {
    return undefined
  }
  // A character takes four bytes at most; none is cut in two.
  const text = decodeText(bytes.subarray(0, EXCERPT_CHARACTERS * 4), contentType)
  return [...text].slice(0, EXCERPT_CHARACTERS).join('')
}

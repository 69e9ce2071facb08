/**
 * A request as the transport sends it: immutable, and checked when it is made, so that a mistake
 * shows where it was made and not when a connection has been opened for it.
 */
import { ConfigError, LocalProtocolError } from '../errors.ts'
import { isToken } from '../protocol/semantics/grammar.ts'
import { HeaderFields, type HeaderFieldsInit } from '../protocol/semantics/header-fields.ts'
import { type Content, type ContentInit, toContent } from './content.ts'
import { HttpUrl } from './http-url.ts'
import { checkTarget, connectTarget } from './request-target.ts'
import { type RequestTrailers, toTrailers, type TrailersInit } from './request-trailers.ts'

/** Content of a request, as it is kept. */
export type RequestContent = Content

/** The parts of a request besides method and URL. */
export interface HttpRequestInit {
  /** Host and the fields of framing are added when the request is sent. */
  readonly headers?: HeaderFieldsInit | undefined
  /** Bytes are not copied: they must not change until they are sent. */
  readonly content?: ContentInit | undefined
  /** Fields after the content; it must be sent chunked. */
  readonly trailers?: TrailersInit | undefined
  /** What the request line carries instead of path and query: `*`, or `host:port` for CONNECT. */
  readonly target?: string | undefined
}

/** A request as one record. */
export interface HttpRequestRecord extends HttpRequestInit {
  readonly method: string
  readonly url: string | URL | HttpUrl
  /** Another name for `content`. */
  readonly stream?: ContentInit | undefined
}

// RFC 9110 §9.2.2
const IDEMPOTENT: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PUT',
  'DELETE',
])
/** Methods whose requests have no content (RFC 9110 §9.3.6, §9.3.8). */
const WITHOUT_CONTENT: ReadonlySet<string> = new Set(['CONNECT', 'TRACE'])
const FRAMING_FIELDS = ['content-length', 'transfer-encoding'] as const

/**
 * An immutable request; `with…` gives changed copies, checked like the first. Copies share their
 * content: one that can be read only once is sent once in all.
 */
export class HttpRequest {
  readonly method: string
  readonly url: HttpUrl
  readonly headers: HeaderFields
  readonly content: RequestContent | undefined
  readonly trailers: RequestTrailers | undefined
  /** As it was given; `requestTarget` is what is sent. */
  readonly target: string | undefined

  /**
   * @throws {LocalProtocolError} when the method is not a token, a field cannot stand on the wire or
   * contradicts the content, the content cannot be sent, or the target does not go with the method
   * @throws {ConfigError} when the URL cannot be used
   */
  constructor(method: string, url: string | URL | HttpUrl, init: HttpRequestInit = {}) {
    if (typeof method !== 'string' || !isToken(method)) {
      throw new LocalProtocolError(`Cannot send method ${JSON.stringify(method)}: not a token`)
    }
    const { headers, content, trailers, target } = init
    this.method = method
    this.url = HttpUrl.parse(url)
    this.headers = HeaderFields.from(headers)
    this.content = content === undefined ? undefined : toContent(content)
    this.trailers = trailers === undefined ? undefined : toTrailers(trailers)
    this.target = target
    if (this.headers.framesContent) checkFraming(this.headers, this.content)
    if (content !== undefined && WITHOUT_CONTENT.has(method)) {
      throw new LocalProtocolError(`Cannot send content with ${method}: it has none by definition`)
    }
    if (trailers !== undefined) checkChunked(this.content)
    if (target !== undefined) checkTarget(method, target)
    Object.freeze(this)
  }

  /**
   * Makes a request from one record.
   * @throws {ConfigError} when both `content` and `stream` are given; else as the constructor
   */
  static create({ method, url, stream, content, ...init }: HttpRequestRecord): HttpRequest {
    if (stream !== undefined && content !== undefined) {
      throw new ConfigError(
        'stream',
        'Cannot use both content and stream: they name the same thing',
      )
    }
    return new HttpRequest(method, url, { ...init, content: content ?? stream })
  }

  /** What the request line carries (RFC 9112 §3.2). */
  get requestTarget(): string {
    if (this.target !== undefined) return this.target
    return this.method === 'CONNECT' ? connectTarget(this.url) : this.url.target
  }

  /** Whether repeating the request has the effect of sending it once (RFC 9110 §9.2.2). */
  get idempotent(): boolean {
    return IDEMPOTENT.has(this.method)
  }

  /** Whether the content can be sent a second time. */
  get replayable(): boolean {
    const { content } = this
    return content === undefined || content instanceof Uint8Array || content.replayable
  }

  withMethod(method: string): HttpRequest {
    return new HttpRequest(method, this.url, this)
  }

  withUrl(url: string | URL | HttpUrl): HttpRequest {
    return new HttpRequest(this.method, url, this)
  }

  withHeaders(headers: HeaderFieldsInit): HttpRequest {
    return this.#with({ headers })
  }

  /** A copy with exactly one line of that name. */
  withHeader(name: string, value: string): HttpRequest {
    return this.#with({ headers: this.headers.with(name, value) })
  }

  /** A copy with one more line. */
  withAddedHeader(name: string, value: string): HttpRequest {
    return this.#with({ headers: this.headers.append(name, value) })
  }

  /** A copy with other content; Content-Length and Transfer-Encoding of the old one are dropped. */
  withContent(content: ContentInit | undefined): HttpRequest {
    return this.#with({ headers: this.headers.without(...FRAMING_FIELDS), content })
  }

  withTrailers(trailers: TrailersInit | undefined): HttpRequest {
    return this.#with({ trailers })
  }

  withTarget(target: string | undefined): HttpRequest {
    return this.#with({ target })
  }

  #with(changes: HttpRequestInit): HttpRequest {
    const { headers, content, trailers, target } = this
    return new HttpRequest(this.method, this.url, {
      headers,
      content,
      trailers,
      target,
      ...changes,
    })
  }
}

/** Holds the caller's own framing fields against the content (RFC 9112 §6). */
function checkFraming(headers: HeaderFields, content: RequestContent | undefined): void {
  for (const name of FRAMING_FIELDS) {
    if (!headers.has(name)) continue
    const value = headers.get(name) as string
    const length = content === undefined ? 0 : content.length
    const agrees =
      name === 'content-length'
        ? value === String(length)
        : length === undefined && value.toLowerCase() === 'chunked'
    if (agrees) continue
    const actual = length === undefined ? 'content of unknown length' : `content of ${length} bytes`
    throw new LocalProtocolError(
      `Cannot send ${name} ${JSON.stringify(value)} with ${actual}: ` +
        'leave the field out, it follows from the content',
    )
  }
}

function checkChunked(content: RequestContent | undefined): void {
  if (content !== undefined && content.length === undefined) return
  throw new LocalProtocolError(
    `Cannot send trailers after ${content === undefined ? 'no content' : 'content of known length'}: ` +
      'give the content as createRequestStream(…, { chunked: true })',
  )
}

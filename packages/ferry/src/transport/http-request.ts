/** A request as the transport sends it: immutable, checked when it is made. */
import { LocalProtocolError } from '../errors.ts'
import { isToken } from '../protocol/semantics/grammar.ts'
import { HeaderFields, type HeaderFieldsInit } from '../protocol/semantics/header-fields.ts'
import { HttpUrl } from './http-url.ts'

/** Content of unknown or known length that comes piece by piece. */
export interface StreamedContent {
  /** Bytes; undefined sends it chunked. */
  readonly length?: number
  /** Called for each sending; a second call must give the same bytes again, or throw. */
  open(): AsyncIterable<Uint8Array>
  /** Whether `open` may be called again. */
  readonly replayable: boolean
}

/** Content of a request. Text is sent as UTF-8. */
export type RequestContent = Uint8Array | StreamedContent

/** The parts of a request besides method and URL. */
export interface HttpRequestInit {
  readonly headers?: HeaderFieldsInit | undefined
  readonly content?: RequestContent | string | undefined
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

/** An immutable request; `with…` gives changed copies. */
export class HttpRequest {
  readonly method: string
  readonly url: HttpUrl
  readonly headers: HeaderFields
  readonly content: RequestContent | undefined

  /**
   * @throws {LocalProtocolError} when the method is not a token or a field cannot stand on the wire
   * @throws {ConfigError} when the URL cannot be used
   */
  constructor(method: string, url: string | URL | HttpUrl, init: HttpRequestInit = {}) {
    if (!isToken(method)) {
      throw new LocalProtocolError(`Cannot send method ${JSON.stringify(method)}: not a token`)
    }
    this.method = method
    this.url = HttpUrl.parse(url)
    this.headers = HeaderFields.from(init.headers)
    this.content = typeof init.content === 'string' ? Buffer.from(init.content) : init.content
    Object.freeze(this)
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

  withHeader(name: string, value: string): HttpRequest {
    return this.withHeaders(this.headers.with(name, value))
  }

  withHeaders(headers: HeaderFieldsInit): HttpRequest {
    return new HttpRequest(this.method, this.url, { headers, content: this.content })
  }

  withContent(content: RequestContent | string | undefined): HttpRequest {
    return new HttpRequest(this.method, this.url, { headers: this.headers, content })
  }
}

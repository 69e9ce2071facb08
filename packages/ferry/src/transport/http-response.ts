/**
 * A response: an immutable head, and a body that is taken once. The transport makes it from what
 * comes; tests, caches and interceptors make their own, checked when it is made.
 */
import { LocalProtocolError } from '../errors.ts'
import type { ResponseHead } from '../protocol/semantics/response-head.ts'
import { isFieldValue } from '../protocol/semantics/grammar.ts'
import { HeaderFields, type HeaderFieldsInit } from '../protocol/semantics/header-fields.ts'
import type { ConnectionFacts, Exchange, ExchangeTimings } from './connection.ts'
import type { ContentInit } from './content.ts'
import { HttpUrl } from './http-url.ts'
import { ResponseBody } from './response-body.ts'
import { createResponseStream } from './response-stream.ts'

/** The parts of a response that is constructed. */
export interface HttpResponseInit {
  /** 100 to 599. */
  readonly status: number
  /** @defaultValue '' */
  readonly statusText?: string | undefined
  /** @defaultValue '1.1' */
  readonly version?: ResponseHead['version'] | undefined
  readonly headers?: HeaderFieldsInit | undefined
  /** Content, or a body, which is taken over. @defaultValue no content */
  readonly body?: ContentInit | ResponseBody | undefined
  /** @defaultValue `http://constructed.invalid/` */
  readonly url?: string | URL | HttpUrl | undefined
}

// RFC 6761 §6.4: never a real host.
const NO_URL = 'http://constructed.invalid/'
const FRAMING_FIELDS = ['content-length', 'transfer-encoding'] as const

/**
 * An immutable response. Whoever receives it takes the body to its end or cancels it; `with…` gives
 * changed copies, which share it.
 */
export class HttpResponse implements Disposable {
  readonly status: number
  readonly statusText: string
  readonly version: ResponseHead['version']
  readonly headers: HeaderFields
  /** Where it came from. */
  readonly url: HttpUrl
  readonly body: ResponseBody
  readonly #exchange: Exchange | undefined

  /** For the transport, which has checked the head; `HttpResponse.create()` checks. */
  constructor(head: ResponseHead, url: HttpUrl, body: ResponseBody, exchange?: Exchange) {
    this.status = head.status
    this.statusText = head.statusText
    this.version = head.version
    this.headers = head.headers
    this.url = url
    this.body = body
    this.#exchange = exchange
    Object.freeze(this)
  }

  /**
   * Makes a response that no server sent.
   * @throws {LocalProtocolError} when the status is not 100 to 599, a field cannot stand on the wire,
   * there is content where there can be none, or its length is not the one in Content-Length
   */
  static create(init: HttpResponseInit): HttpResponse {
    const { status, statusText = '', version = '1.1', url = NO_URL } = init
    checkStatus(status, statusText)
    const headers = HeaderFields.from(init.headers)
    const body = toBody(init.body, status, headers)
    return new HttpResponse({ status, statusText, version, headers }, HttpUrl.parse(url), body)
  }

  /** How long its parts took; undefined for one that was constructed. */
  get timings(): ExchangeTimings | undefined {
    return this.#exchange?.timings
  }

  /** What carried it; undefined for one that was constructed. */
  get connection(): ConnectionFacts | undefined {
    return this.#exchange?.connection
  }

  /** Gives up what has not come of the body. */
  [Symbol.dispose](): void {
    this.body.cancel()
  }

  withStatus(status: number, statusText = ''): HttpResponse {
    checkStatus(status, statusText)
    return this.#with({ status, statusText })
  }

  withHeaders(headers: HeaderFieldsInit): HttpResponse {
    return this.#with({ headers: HeaderFields.from(headers) })
  }

  /** A copy with exactly one line of that name. */
  withHeader(name: string, value: string): HttpResponse {
    return this.#with({ headers: this.headers.with(name, value) })
  }

  /** A copy with one more line. */
  withAddedHeader(name: string, value: string): HttpResponse {
    return this.#with({ headers: this.headers.append(name, value) })
  }

  /**
   * A copy with another body; Content-Length and Transfer-Encoding of the old one are dropped. The
   * old body is still to be taken or cancelled, unless the new one is made from it.
   */
  withBody(body: ContentInit | ResponseBody | undefined): HttpResponse {
    const headers = this.headers.without(...FRAMING_FIELDS)
    return this.#with({ headers }, toBody(body, this.status, headers))
  }

  /** @internal The same content in another form: decoded, or in memory. Fields stay as they came. */
  replaceBody(body: ResponseBody): HttpResponse {
    return this.#with({}, body)
  }

  #with(changes: Partial<ResponseHead>, body: ResponseBody = this.body): HttpResponse {
    const { status, statusText, version, headers } = this
    const head = { status, statusText, version, headers, ...changes }
    return new HttpResponse(head, this.url, body, this.#exchange)
  }
}

function checkStatus(status: number, statusText: string): void {
  if (!Number.isInteger(status) || status < 100 || status > 599) {
    throw new LocalProtocolError(`Cannot use status ${String(status)}: expected 100 to 599`)
  }
  if (!isFieldValue(statusText)) {
    throw new LocalProtocolError(
      `Cannot use status text ${JSON.stringify(statusText)}: a control character or one above U+00FF`,
    )
  }
}

function toBody(
  init: HttpResponseInit['body'],
  status: number,
  headers: HeaderFields,
): ResponseBody {
  if (init === undefined) return createResponseStream('')
  const announced = headers.get('content-length')
  const contentLength = announced === undefined ? undefined : parseLength(announced)
  if (init instanceof ResponseBody && (contentLength ?? init.length) === init.length) {
    return checkAllowed(init, status)
  }
  return checkAllowed(createResponseStream(init, { contentLength }), status)
}

function parseLength(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new LocalProtocolError(`Cannot use Content-Length ${JSON.stringify(text)}: not a length`)
}

/** RFC 9110 §6.4.1: 1xx, 204 and 304 have no content. */
function checkAllowed(body: ResponseBody, status: number): ResponseBody {
  const allowed = status >= 200 && status !== 204 && status !== 304
  if (allowed || body.length === 0) return body
  body.cancel()
  throw new LocalProtocolError(
    `Cannot use content with status ${status}: it has none by definition`,
  )
}

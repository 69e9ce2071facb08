/** A response as the transport gives it: an immutable head, and a body that is taken once. */
import type { ResponseHead } from '../protocol/http1/response-parser.ts'
import type { HeaderFields } from '../protocol/semantics/header-fields.ts'
import type { HttpUrl } from './http-url.ts'
import type { ResponseBody } from './response-body.ts'

/** An immutable response. Whoever receives it takes the body to its end or cancels it. */
export class HttpResponse {
  readonly status: number
  readonly statusText: string
  readonly version: string
  readonly headers: HeaderFields
  /** Where it came from. */
  readonly url: HttpUrl
  readonly body: ResponseBody

  constructor(head: ResponseHead, url: HttpUrl, body: ResponseBody) {
    this.status = head.status
    this.statusText = head.statusText
    this.version = head.version
    this.headers = head.headers
    this.url = url
    this.body = body
    Object.freeze(this)
  }
}

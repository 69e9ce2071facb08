/** Turns the callbacks of an exchange into a promise of its response. */
import type { ResponseHead } from '../protocol/http1/response-parser.ts'
import type { HeaderFields } from '../protocol/semantics/header-fields.ts'
import type { Exchange, ResponseHandler } from './connection.ts'
import type { HttpRequest } from './http-request.ts'
import { HttpResponse } from './http-response.ts'
import { ResponseBody } from './response-body.ts'

/** Starts an exchange and gives its response once the head is here. */
export function receiveResponse(
  request: HttpRequest,
  start: (handler: ResponseHandler) => Exchange,
): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    start(new ResponseReceiver(request, resolve, reject))
  })
}

class ResponseReceiver implements ResponseHandler {
  readonly #request: HttpRequest
  readonly #resolve: (response: HttpResponse) => void
  readonly #reject: (error: Error) => void
  #body: ResponseBody | undefined

  constructor(
    request: HttpRequest,
    resolve: (response: HttpResponse) => void,
    reject: (error: Error) => void,
  ) {
    this.#request = request
    this.#resolve = resolve
    this.#reject = reject
  }

  onHead(head: ResponseHead, length: number | undefined, exchange: Exchange): void {
    const body = new ResponseBody(exchange, length)
    this.#body = body
    this.#resolve(new HttpResponse(head, this.#request.url, body))
  }

  onContent(bytes: Buffer): boolean {
    return this.#body?.receive(bytes) ?? true
  }

  contentBuffer(): Buffer | undefined {
    return this.#body?.receiveBuffer()
  }

  onComplete(trailers: HeaderFields): void {
    this.#body?.complete(trailers)
  }

  onError(error: Error): void {
    if (this.#body === undefined) this.#reject(error)
    else this.#body.fail(error)
  }
}

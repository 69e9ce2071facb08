/** Turns the callbacks of an exchange into a promise of its response. */
import type { NetworkStream } from '../net/network-backend.ts'
import type { ResponseHead } from '../protocol/semantics/response-head.ts'
import type { HeaderFields } from '../protocol/semantics/header-fields.ts'
import type { ConnectionFacts, Exchange, ExchangeTimings, ResponseHandler } from './connection.ts'
import type { HttpRequest } from './http-request.ts'
import { HttpResponse } from './http-response.ts'
import { ResponseBody } from './response-body.ts'

/** Who is told of 1xx responses. */
interface ReceiveOptions {
  readonly onInformation?: ResponseHandler['onInformation']
}

/** Starts an exchange and gives its response once the head is here. */
export function receiveResponse(
  request: HttpRequest,
  { onInformation }: ReceiveOptions,
  start: (handler: ResponseHandler) => Exchange,
): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    start(new ResponseReceiver(request, resolve, reject, onInformation))
  })
}

/** What became of the wish to switch protocols. */
export type UpgradeOutcome =
  | {
      readonly type: 'upgraded'
      /** 101, or 2xx to CONNECT. */
      readonly head: ResponseHead
      /** Read from first what came after the head; the receiver closes it. */
      readonly stream: NetworkStream
      readonly timings: ExchangeTimings
      readonly connection: ConnectionFacts | undefined
    }
  | {
      readonly type: 'refused'
      /** Its body is to be taken or cancelled, as always. */
      readonly response: HttpResponse
    }

/** Starts an exchange that may end in another protocol. */
export function receiveUpgrade(
  request: HttpRequest,
  { onInformation }: ReceiveOptions,
  start: (handler: ResponseHandler) => Exchange,
): Promise<UpgradeOutcome> {
  return new Promise((resolve, reject) => {
    start(new UpgradeReceiver(request, resolve, reject, onInformation))
  })
}

class ResponseReceiver implements ResponseHandler {
  readonly onInformation: ResponseHandler['onInformation']
  readonly #request: HttpRequest
  readonly #resolve: (response: HttpResponse) => void
  readonly #reject: (error: Error) => void
  #body: ResponseBody | undefined

  constructor(
    request: HttpRequest,
    resolve: (response: HttpResponse) => void,
    reject: (error: Error) => void,
    onInformation: ResponseHandler['onInformation'],
  ) {
    this.onInformation = onInformation
    this.#request = request
    this.#resolve = resolve
    this.#reject = reject
  }

  get untaken(): boolean {
    return this.#body?.used === false
  }

  onHead(head: ResponseHead, length: number | undefined, exchange: Exchange): void {
    const body = new ResponseBody(exchange, length)
    this.#body = body
    this.#resolve(new HttpResponse(head, this.#request.url, body, exchange))
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

class UpgradeReceiver extends ResponseReceiver {
  readonly #settle: (outcome: UpgradeOutcome) => void

  constructor(
    request: HttpRequest,
    resolve: (outcome: UpgradeOutcome) => void,
    reject: (error: Error) => void,
    onInformation: ResponseHandler['onInformation'],
  ) {
    super(request, (response) => resolve({ type: 'refused', response }), reject, onInformation)
    this.#settle = resolve
  }

  onUpgrade(head: ResponseHead, stream: NetworkStream, exchange: Exchange): void {
    const { timings, connection } = exchange
    this.#settle({ type: 'upgraded', head, stream, timings, connection })
  }
}

/** What is told of each request that goes out: redirections, further attempts and resent ones too. */
import type { HttpRequest } from '../transport/http-request.ts'
import type { HttpResponse } from '../transport/http-response.ts'

/** What all events of one exchange say. */
interface ExchangeFacts {
  /** As it is sent, cookies and credentials included: its fields hold secrets. */
  readonly request: HttpRequest
  /** 1 for the first. */
  readonly attempt: number
  /** Redirections that were followed before, in this attempt; 0 for the request itself. */
  readonly redirects: number
}

/**
 * request: it is about to be sent · response: its head is here; the body, still coded, belongs to the
 * client and must not be taken · error: no head came
 */
export type ExchangeEvent =
  | (ExchangeFacts & { readonly type: 'request' })
  | (ExchangeFacts & { readonly type: 'response'; readonly response: HttpResponse })
  | (ExchangeFacts & { readonly type: 'error'; readonly error: unknown })

/** Is told of exchanges, in their order; what it throws fails the call. */
export type ExchangeListener = (event: ExchangeEvent) => void

/** Sends, and tells a listener how that goes. */
export async function tellExchange(
  listener: ExchangeListener,
  facts: ExchangeFacts,
  send: () => Promise<HttpResponse>,
): Promise<HttpResponse> {
  listener({ type: 'request', ...facts })
  let response: HttpResponse
  try {
    response = await send()
  } catch (error) {
    listener({ type: 'error', ...facts, error })
    throw error
  }
  try {
    listener({ type: 'response', ...facts, response })
  } catch (error) {
    response.body.cancel()
    throw error
  }
  return response
}

/**
 * Interceptors stand between a call and what sends it. They are run in the order of their list on the
 * way out and in the opposite order on the way back, each around those that follow.
 */
import type { HttpRequest } from '../transport/http-request.ts'
import { HttpResponse } from '../transport/http-response.ts'

/** What an interceptor is told of the call besides the request. */
export interface InterceptorContext {
  /** 1 for the first; of the attempt, in scope `attempt`. */
  readonly attempt: number
  readonly signal: AbortSignal | undefined
  /** Whether content comes decoded: false where the call, or its client, has `decompress: false`. */
  readonly decoded: boolean
  /** Sends a request through the interceptors that follow, as often as wanted. */
  send(request: HttpRequest): Promise<HttpResponse>
}

type Awaitable<Value> = Value | Promise<Value>

/**
 * Looks at requests and responses, and may put others in their place. What it throws fails the call.
 * Responses have their content decoded (see `decoded` of the context); every status is seen. Who replaces a response, or sends
 * again, takes or cancels the body of the one before.
 */
export interface Interceptor {
  /** call: once, around all attempts; attempt: around each of them. @defaultValue 'call' */
  readonly scope?: 'call' | 'attempt'
  /** Gives another request, or a response: then nothing is sent, and its own `postResponse` is not asked. */
  preRequest?(
    request: HttpRequest,
    context: InterceptorContext,
  ): Awaitable<HttpRequest | HttpResponse | undefined | void>
  /** Gives another response. `request` is the one that was sent on. */
  postResponse?(
    response: HttpResponse,
    request: HttpRequest,
    context: InterceptorContext,
  ): Awaitable<HttpResponse | undefined | void>
  /** Gives a response all the same, or throws another error; otherwise the error goes on. */
  onError?(
    error: unknown,
    request: HttpRequest,
    context: InterceptorContext,
  ): Awaitable<HttpResponse | undefined | void>
}

/** Sends a request, whatever that takes. */
export type Send = (request: HttpRequest) => Promise<HttpResponse>

/** What the interceptors of one call, or of one attempt, have in common. */
export interface ChainOptions {
  readonly attempt: number
  readonly signal: AbortSignal | undefined
  /** @defaultValue true */
  readonly decoded?: boolean
  readonly send: Send
}

/** Sends a request through interceptors, the first outermost. */
export function sendThrough(
  interceptors: readonly Interceptor[],
  request: HttpRequest,
  options: ChainOptions,
): Promise<HttpResponse> {
  const [interceptor, ...inner] = interceptors
  if (interceptor === undefined) return options.send(request)
  return sendThroughOne(interceptor, request, {
    attempt: options.attempt,
    signal: options.signal,
    decoded: options.decoded ?? true,
    send: (changed) => sendThrough(inner, changed, options),
  })
}

async function sendThroughOne(
  interceptor: Interceptor,
  request: HttpRequest,
  context: InterceptorContext,
): Promise<HttpResponse> {
  const changed = (await interceptor.preRequest?.(request, context)) ?? request
  if (changed instanceof HttpResponse) return changed
  let response: HttpResponse
  try {
    response = await context.send(changed)
  } catch (error) {
    const instead = await interceptor.onError?.(error, changed, context)
    if (instead === undefined) throw error
    response = instead
  }
  try {
    return (await interceptor.postResponse?.(response, changed, context)) ?? response
  } catch (error) {
    response.body.cancel()
    throw error
  }
}

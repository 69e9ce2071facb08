/** The requests of an upload over a client of Node: at the pace that is allowed, with redirections. */
import type { RequestClient } from '../client/http-client.ts'
import { decideRedirect } from '../client/redirect.ts'
import type { Clock } from '../clock.ts'
import { StreamError } from '../errors.ts'
import type { RateLimit } from '../transfer/rate-limit.ts'
import type { Content } from '../transport/content.ts'
import { HttpRequest } from '../transport/http-request.ts'
import type { HttpResponse } from '../transport/http-response.ts'
import { paceContent } from './paced-content.ts'
import {
  DEFAULT_ANSWER_TIMEOUT_MS,
  DEFAULT_STALL_TIMEOUT_MS,
  MAX_ANSWER_BYTES,
  type UploadAnswer,
  type UploadWire,
  type WireRequest,
} from './upload-wire.ts'

/** What requests are sent with. */
export interface ClientWireOptions {
  readonly client: RequestClient
  readonly limit: RateLimit
  readonly clock: Clock
  /** Without a byte taken by the server while there is something to send. @defaultValue 60 000 */
  readonly stallTimeoutMs?: number | undefined
  /** From the last byte of a request to its answer. @defaultValue 300 000 */
  readonly answerTimeoutMs?: number | undefined
}

const MAX_REDIRECTS = 5
// RFC 9110 §15.4.8, §15.4.9: those that keep method and content.
const SAME_REQUEST_REDIRECTS: readonly number[] = [307, 308]
// What is sent in one write with its head.
const MAX_WHOLE_BYTES = 65_536

/** The requests of uploads over one client, which stays its owner's. */
export class ClientWire implements UploadWire {
  readonly countsSent = true
  readonly maxContentBytes: number = Number.POSITIVE_INFINITY
  readonly #options: ClientWireOptions

  constructor(options: ClientWireOptions) {
    this.#options = options
  }

  async send(wanted: WireRequest): Promise<UploadAnswer> {
    let request = new HttpRequest(wanted.method, wanted.url, {
      headers: wanted.headers,
      content: this.#pace(wanted),
    })
    for (let redirects = 0; ; redirects++) {
      const response = await this.#sendOnce(request, wanted)
      wanted.onReached()
      const next = redirects < MAX_REDIRECTS ? nextOf(request, response) : undefined
      if (next === undefined) return await readAnswer(response)
      response.body.cancel()
      request = next
    }
  }

  #sendOnce(request: HttpRequest, { signal, onInformation }: WireRequest): Promise<HttpResponse> {
    const { client, stallTimeoutMs, answerTimeoutMs } = this.#options
    return client.send(request, {
      signal,
      onInformation,
      // Retries, redirections and limits of time are the upload's own business.
      retries: 0,
      maxRedirects: 0,
      timeoutMs: Number.POSITIVE_INFINITY,
      bodyTimeoutMs: stallTimeoutMs ?? DEFAULT_STALL_TIMEOUT_MS,
      headersTimeoutMs: answerTimeoutMs ?? DEFAULT_ANSWER_TIMEOUT_MS,
    })
  }

  #pace({ content, onSent }: WireRequest): Content | undefined {
    if (content === undefined) return undefined
    const { limit, clock } = this.#options
    const isFree = limit.effectiveBytesPerSecond === undefined
    if (isFree && content instanceof Uint8Array && content.length <= MAX_WHOLE_BYTES) {
      onSent(content.length)
      return content
    }
    return paceContent(content, { limit, clock, onSent })
  }
}

function nextOf(request: HttpRequest, response: HttpResponse): HttpRequest | undefined {
  if (!SAME_REQUEST_REDIRECTS.includes(response.status)) return undefined
  return decideRedirect(request, response)
}

async function readAnswer(response: HttpResponse): Promise<UploadAnswer> {
  const { status, statusText, headers, url } = response
  return { status, statusText, headers, url, text: await readText(response) }
}

async function readText({ body }: HttpResponse): Promise<string> {
  try {
    return (await body.bytes(MAX_ANSWER_BYTES)).toString()
  } catch (error) {
    if (error instanceof StreamError && error.maxBytes !== undefined) return ''
    throw error
  }
}

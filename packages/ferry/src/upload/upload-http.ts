/**
 * Sends the requests of one upload: with the caller's fields and credentials, which go to the server
 * that they are for and no other, at the pace that is allowed, and gives answers read to their end.
 * What an answer means is the business of the protocols.
 */
import type { RequestClient } from '../client/http-client.ts'
import { decideRedirect } from '../client/redirect.ts'
import { withoutSecrets } from '../client/secret-fields.ts'
import type { Clock } from '../clock.ts'
import { HttpStatusError, StreamError } from '../errors.ts'
import { HeaderFields, type HeaderFieldsInit } from '../protocol/semantics/header-fields.ts'
import type { ResponseHead } from '../protocol/semantics/response-head.ts'
import type { RateLimit } from '../transfer/rate-limit.ts'
import type { Content } from '../transport/content.ts'
import { HttpRequest } from '../transport/http-request.ts'
import type { HttpResponse } from '../transport/http-response.ts'
import type { HttpUrl } from '../transport/http-url.ts'
import { paceContent } from './paced-content.ts'

/** What credentials are asked for. */
export interface CredentialRequest {
  /** Without credentials and query. */
  readonly url: string
  /** The server has refused the ones that were given last. */
  readonly refused: boolean
}

/** Gives the fields that tell the server who asks: `Authorization`, say. */
export type CredentialProvider = (
  request: CredentialRequest,
) => HeaderFieldsInit | Promise<HeaderFieldsInit>

/** What requests are sent with. */
export interface UploadHttpOptions {
  readonly client: RequestClient
  /** Whose credentials and fields these are. */
  readonly endpoint: HttpUrl
  readonly headers: HeaderFields
  readonly credentials: CredentialProvider | undefined
  readonly limit: RateLimit
  readonly clock: Clock
  /** Without a byte taken by the server while there is something to send, in ms. */
  readonly stallTimeoutMs: number
  /** From the last byte of a request to its answer, in ms. */
  readonly answerTimeoutMs: number
}

/** One request. */
export interface UploadRequest {
  readonly method: string
  readonly url: HttpUrl
  readonly headers?: Readonly<Record<string, string>>
  readonly content?: Content | undefined
  readonly signal: AbortSignal
  readonly onSent?: (bytes: number) => void
  readonly onInformation?: (head: ResponseHead) => void
}

/** An answer, read to its end. */
export interface UploadAnswer {
  readonly status: number
  readonly statusText: string
  readonly headers: HeaderFields
  /** Where it came from, after redirections. */
  readonly url: HttpUrl
  /** Its content; empty when that is longer than any answer of these protocols. */
  readonly text: string
}

const MAX_ANSWER_BYTES = 65_536
const MAX_REDIRECTS = 5
// RFC 9110 §15.4.8, §15.4.9: those that keep method and content.
const SAME_REQUEST_REDIRECTS: readonly number[] = [307, 308]
// What is sent in one write with its head.
const MAX_WHOLE_BYTES = 65_536

/** The requests of one upload. */
export class UploadHttp {
  readonly #options: UploadHttpOptions
  #credentials: HeaderFields | undefined
  #refused = false
  #generation = 0
  #hasReached = false
  #transmittedBytes = 0

  constructor(options: UploadHttpOptions) {
    this.#options = options
  }

  /** Whether any answer has come. */
  get hasReached(): boolean {
    return this.#hasReached
  }

  /** Whether there is somebody to ask for other credentials. */
  get canRenew(): boolean {
    return this.#options.credentials !== undefined
  }

  /** Grows with each renewal: what was refused before one says nothing of the credentials after it. */
  get generation(): number {
    return this.#generation
  }

  /** Bytes of content that went out, those that were sent again included. */
  get transmittedBytes(): number {
    return this.#transmittedBytes
  }

  /** The next request asks for credentials again: those that it has were refused. */
  renewCredentials(): void {
    this.#credentials = undefined
    this.#refused = true
    this.#generation++
  }

  /**
   * Sends a request and reads its answer, whatever the status.
   * @throws {NetworkError} and what the content and the provider of credentials throw
   */
  async request(wanted: UploadRequest): Promise<UploadAnswer> {
    let request = new HttpRequest(wanted.method, wanted.url, {
      headers: await this.#fieldsFor(wanted),
      content: this.#pace(wanted),
    })
    for (let redirects = 0; ; redirects++) {
      const response = await this.#send(request, wanted)
      this.#hasReached = true
      const next = redirects < MAX_REDIRECTS ? nextOf(request, response) : undefined
      if (next === undefined) return await readAnswer(response)
      response.body.cancel()
      request = next
    }
  }

  #send(request: HttpRequest, { signal, onInformation }: UploadRequest): Promise<HttpResponse> {
    const { client, stallTimeoutMs, answerTimeoutMs } = this.#options
    return client.send(request, {
      signal,
      onInformation,
      // Retries, redirections and limits of time are the upload's own business.
      retries: 0,
      maxRedirects: 0,
      timeoutMs: Number.POSITIVE_INFINITY,
      bodyTimeoutMs: stallTimeoutMs,
      headersTimeoutMs: answerTimeoutMs,
    })
  }

  #pace({ content, onSent }: UploadRequest): Content | undefined {
    if (content === undefined) return undefined
    const { limit, clock } = this.#options
    const note = (bytes: number): void => {
      this.#transmittedBytes += bytes
      onSent?.(bytes)
    }
    const isFree = limit.effectiveBytesPerSecond === undefined
    if (isFree && content instanceof Uint8Array && content.length <= MAX_WHOLE_BYTES) {
      note(content.length)
      return content
    }
    return paceContent(content, { limit, clock, onSent: note })
  }

  async #fieldsFor({ url, headers = {} }: UploadRequest): Promise<HeaderFields> {
    const { endpoint } = this.#options
    const isHome = url.origin.key === endpoint.origin.key
    let fields = this.#options.headers
    if (isHome) for (const [name, value] of await this.#ask()) fields = fields.with(name, value)
    else fields = withoutSecrets(fields, [])
    for (const [name, value] of Object.entries(headers)) fields = fields.with(name, value)
    return fields
  }

  async #ask(): Promise<HeaderFields> {
    const { credentials, endpoint } = this.#options
    if (credentials === undefined) return HeaderFields.empty
    if (this.#credentials === undefined) {
      const refused = this.#refused
      this.#refused = false
      this.#credentials = HeaderFields.from(await credentials({ url: endpoint.label, refused }))
    }
    return this.#credentials
  }
}

/** Whether the status of an answer is one of success. */
export function isSuccess({ status }: UploadAnswer): boolean {
  return status >= 200 && status < 300
}

/** The error for an answer whose status is not acceptable. */
export function statusError(attempt: string, answer: UploadAnswer): HttpStatusError {
  const { status, statusText, headers, text } = answer
  const words = `${status} ${statusText}`.trim()
  return new HttpStatusError(`Cannot ${attempt}: the server answered ${words}`, {
    status,
    statusText,
    headers,
    excerpt: text === '' ? undefined : text.slice(0, 1000),
  })
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

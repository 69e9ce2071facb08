/**
 * The requests of one upload: with the caller's fields and credentials, which go to the server that
 * they are for and no other. What carries them is a port; what an answer means is the business of the
 * protocols.
 */
import { withoutSecrets } from '../client/secret-fields.ts'
import { abortable } from '../clock.ts'
import { HttpStatusError } from '../errors.ts'
import { HeaderFields, type HeaderFieldsInit } from '../protocol/semantics/header-fields.ts'
import type { ResponseHead } from '../protocol/semantics/response-head.ts'
import type { Content } from '../transport/content.ts'
import type { HttpUrl } from '../transport/http-url.ts'
import type { UploadAnswer, UploadWire } from './upload-wire.ts'

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
  readonly wire: UploadWire
  /** Whose credentials and fields these are. */
  readonly endpoint: HttpUrl
  readonly headers: HeaderFields
  readonly credentials: CredentialProvider | undefined
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

/** The requests of one upload. */
export class UploadHttp {
  readonly #options: UploadHttpOptions
  #credentials: Promise<HeaderFields> | undefined
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

  /** Whether `onSent` is told of every byte before the server can have it. */
  get countsSent(): boolean {
    return this.#options.wire.countsSent
  }

  /** The most content that a request should have where the protocol can do with less: bytes. */
  get maxContentBytes(): number {
    return this.#options.wire.maxContentBytes
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
    const { method, url, content, signal, onSent, onInformation } = wanted
    return await this.#options.wire.send({
      method,
      url,
      headers: await this.#fieldsFor(wanted),
      content,
      signal,
      onSent: (bytes) => {
        this.#transmittedBytes += bytes
        onSent?.(bytes)
      },
      onReached: () => (this.#hasReached = true),
      onInformation,
    })
  }

  async #fieldsFor({ url, headers = {}, signal }: UploadRequest): Promise<HeaderFields> {
    const { endpoint } = this.#options
    const isHome = url.origin.key === endpoint.origin.key
    let fields = this.#options.headers
    if (isHome) {
      // Somebody may have to be asked, who takes as long as he likes.
      const credentials = await abortable(this.#ask(), signal)
      for (const [name, value] of credentials) fields = fields.with(name, value)
    } else fields = withoutSecrets(fields, [])
    for (const [name, value] of Object.entries(headers)) fields = fields.with(name, value)
    return fields
  }

  /** Several requests may want them at a time: they are asked for once. */
  #ask(): Promise<HeaderFields> {
    if (this.#credentials === undefined) {
      const asking = this.#askAnew(this.#refused)
      this.#credentials = asking
      asking.then(
        () => {
          if (this.#credentials === asking) this.#refused = false
        },
        // What has failed may go well the next time.
        () => {
          if (this.#credentials === asking) this.#credentials = undefined
        },
      )
    }
    return this.#credentials
  }

  async #askAnew(refused: boolean): Promise<HeaderFields> {
    const { credentials, endpoint } = this.#options
    return HeaderFields.from(await credentials?.({ url: endpoint.label, refused }))
  }
}

/** Whether the status of an answer is one of success. */
export function isSuccess({ status }: UploadAnswer): boolean {
  return status >= 200 && status < 300
}

/** Whether a page of the Web answers, as that of a network or gateway where somebody has to log in. */
export function isPage({ headers }: UploadAnswer): boolean {
  return /^(?:text\/html|application\/xhtml\+xml)\b/i.test(headers.get('content-type') ?? '')
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

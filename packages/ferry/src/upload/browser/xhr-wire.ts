/**
 * The requests of an upload from a page or worker, by XMLHttpRequest: `fetch` does not tell how much of
 * a request has been sent, so that nobody could see that a server has stopped to take anything.
 *
 * A browser tells less than a client of Node. Why a request has failed is not said; bytes are counted
 * after they were sent; redirections are followed by themselves; 1xx answers are not seen.
 */
import { type Clock, wait } from '../../clock.ts'
import { ConfigError, StreamError, TimeoutError } from '../../errors.ts'
import { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import type { RateLimit } from '../../transfer/rate-limit.ts'
import type { Content } from '../../transport/content.ts'
import { HttpUrl } from '../../transport/http-url.ts'
import {
  DEFAULT_ANSWER_TIMEOUT_MS,
  DEFAULT_STALL_TIMEOUT_MS,
  MAX_ANSWER_BYTES,
  UnansweredError,
  type UploadAnswer,
  type UploadWire,
  type WireRequest,
} from '../upload-wire.ts'
import type { SendingScope, Xhr } from './xhr-types.ts'

/** What requests are sent with. */
export interface XhrWireOptions {
  readonly limit: RateLimit
  readonly clock: Clock
  /** Without a byte taken by the server while there is something to send. @defaultValue 60 000 */
  readonly stallTimeoutMs?: number | undefined
  /** From the last byte of a request to its answer. @defaultValue 300 000 */
  readonly answerTimeoutMs?: number | undefined
  /** Sends cookies to other origins, too. @defaultValue false */
  readonly withCredentials?: boolean | undefined
}

// A body is in memory. Enough that a request costs little; several are on their way at times.
const MAX_CONTENT_BYTES = 8_388_608
const HEADERS_RECEIVED = 2
// How soon a limit that was changed is seen.
const LOOK_MS = 250

/** The requests of uploads from a page or worker. */
export class XhrWire implements UploadWire {
  readonly countsSent = false
  readonly maxContentBytes: number = MAX_CONTENT_BYTES
  readonly #options: XhrWireOptions
  readonly #open: () => Xhr

  /** @throws {ConfigError} where there is no XMLHttpRequest: in a service worker, or in Node */
  constructor(options: XhrWireOptions) {
    const { XMLHttpRequest: Constructor } = globalThis as unknown as SendingScope
    if (Constructor === undefined) {
      throw new ConfigError(
        'client',
        'Cannot send from here: expected a page or a worker, which have XMLHttpRequest',
      )
    }
    this.#options = options
    this.#open = () => new Constructor()
  }

  async send(request: WireRequest): Promise<UploadAnswer> {
    const { content, signal } = request
    const body = content === undefined ? null : await toBody(content, signal)
    await this.#pace(body?.length ?? 0, signal)
    signal.throwIfAborted()
    return await new Promise((resolve, reject) => {
      new XhrExchange(this.#open(), request, this.#options, { resolve, reject }).start(body)
    })
  }

  /** What is given to the browser goes as fast as it can: the limit holds from request to request. */
  async #pace(bytes: number, signal: AbortSignal): Promise<void> {
    const { limit, clock } = this.#options
    const { effectiveBytesPerSecond: perSecond } = limit
    if (bytes === 0 || perSecond === undefined) return
    const until = clock.now() + limit.take(bytes, clock.now())
    // Another limit, or none, holds from the next request on.
    while (clock.now() < until && limit.effectiveBytesPerSecond === perSecond) {
      await wait(Math.min(until - clock.now(), LOOK_MS), signal, clock)
    }
  }
}

/** One request, from its sending to its answer. */
class XhrExchange {
  readonly #xhr: Xhr
  readonly #request: WireRequest
  readonly #options: XhrWireOptions
  readonly #settle: PromiseSettling<UploadAnswer>
  #sentBytes = 0
  #hasReached = false
  #cancelTimer: () => void = () => {}

  constructor(
    xhr: Xhr,
    request: WireRequest,
    options: XhrWireOptions,
    settle: PromiseSettling<UploadAnswer>,
  ) {
    this.#xhr = xhr
    this.#request = request
    this.#options = options
    this.#settle = settle
  }

  start(body: Uint8Array | null): void {
    const { method, url, headers, signal } = this.#request
    const xhr = this.#xhr
    const totalBytes = body?.length ?? 0
    xhr.upload.onprogress = ({ loaded }) => this.#noteSent(loaded)
    xhr.upload.onload = () => {
      this.#noteSent(totalBytes)
      this.#awaitAnswer()
    }
    xhr.onreadystatechange = () => this.#noteReached()
    xhr.onprogress = ({ loaded }) => {
      if (loaded > MAX_ANSWER_BYTES) this.#endWith('')
    }
    xhr.onload = () => this.#endWith(xhr.responseText)
    xhr.onerror = () => this.#fail(this.#lostError())
    // By the browser, when somebody stops the page from loading.
    xhr.onabort = xhr.onerror
    signal.addEventListener('abort', this.#onAbort, { once: true })
    xhr.open(method, url.href)
    xhr.responseType = 'text'
    xhr.withCredentials = this.#options.withCredentials ?? false
    for (const [name, value] of headers) xhr.setRequestHeader(name, value)
    if (totalBytes > 0) this.#awaitProgress()
    else this.#awaitAnswer()
    xhr.send(body)
  }

  readonly #onAbort = (): void => this.#fail(this.#request.signal.reason)

  #noteSent(loaded: number): void {
    // After a redirection it begins anew.
    const bytes = Math.max(0, loaded - this.#sentBytes)
    this.#sentBytes += bytes
    if (bytes > 0) this.#request.onSent(bytes)
    this.#awaitProgress()
  }

  #noteReached(): void {
    if (this.#xhr.readyState < HEADERS_RECEIVED || this.#xhr.status === 0) return
    if (!this.#hasReached) this.#request.onReached()
    this.#hasReached = true
  }

  #awaitProgress(): void {
    const { stallTimeoutMs = DEFAULT_STALL_TIMEOUT_MS } = this.#options
    this.#failAfter('body', stallTimeoutMs, 'took nothing of what was sent')
  }

  #awaitAnswer(): void {
    const { answerTimeoutMs = DEFAULT_ANSWER_TIMEOUT_MS } = this.#options
    this.#failAfter('headers', answerTimeoutMs, 'did not answer')
  }

  #failAfter(phase: 'body' | 'headers', timeoutMs: number, what: string): void {
    this.#cancelTimer()
    this.#cancelTimer = this.#options.clock.after(timeoutMs, () => {
      const message = `Cannot go on: ${this.#request.url.label} ${what} for ${timeoutMs} ms`
      this.#fail(new TimeoutError(phase, timeoutMs, message))
    })
  }

  #lostError(): StreamError {
    const { label } = this.#request.url
    const { navigator } = globalThis as unknown as SendingScope
    const isOffline = navigator?.onLine === false
    if (this.#hasReached || (this.#sentBytes > 0 && !isOffline)) {
      return new StreamError(`Cannot go on: the connection to ${label} broke`)
    }
    const reason = isOffline
      ? 'the browser is offline'
      : 'the browser does not say why; either the network fails, or the server lets no page of this ' +
        'origin in'
    return new UnansweredError(`Cannot reach ${label}: ${reason}`)
  }

  #endWith(text: string): void {
    const { status, statusText, responseURL } = this.#xhr
    const { url } = this.#request
    this.#noteReached()
    const headers = readFields(this.#xhr.getAllResponseHeaders())
    const from = responseURL === '' ? url : HttpUrl.parse(responseURL)
    this.#settle.resolve({ status, statusText, headers, url: from, text })
    this.#close()
  }

  #fail(error: unknown): void {
    this.#settle.reject(error as Error)
    this.#close()
  }

  /** Nothing is told afterwards. */
  #close(): void {
    const xhr = this.#xhr
    this.#cancelTimer()
    this.#request.signal.removeEventListener('abort', this.#onAbort)
    xhr.upload.onprogress = null
    xhr.upload.onload = null
    xhr.onreadystatechange = null
    xhr.onprogress = null
    xhr.onload = null
    xhr.onerror = null
    xhr.onabort = null
    // Nothing for one that is over.
    xhr.abort()
  }
}

interface PromiseSettling<Value> {
  readonly resolve: (value: Value) => void
  readonly reject: (error: Error) => void
}

/**
 * No Blob: how long its memory is held is up to the browser, which may at some point give no more of it
 * until it has looked for what nobody needs.
 */
async function toBody(content: Content, signal: AbortSignal): Promise<Uint8Array> {
  if (content instanceof Uint8Array) return content
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of content.open(signal)) {
    signal.throwIfAborted()
    pieces.push(piece.slice())
    length += piece.length
  }
  const body = new Uint8Array(length)
  let at = 0
  for (const piece of pieces) {
    body.set(piece, at)
    at += piece.length
  }
  return body
}

/** The fields that a page may see. */
function readFields(lines: string): HeaderFields {
  const fields = lines
    .split('\r\n')
    .filter((line) => line !== '')
    .map((line): [string, string] => {
      const at = line.indexOf(':')
      return [line.slice(0, at), line.slice(at + 1).trim()]
    })
  return HeaderFields.fromParsed(
    fields.map(([name]) => name),
    fields.map(([, value]) => value),
  )
}

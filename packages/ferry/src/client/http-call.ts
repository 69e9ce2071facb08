/** A call under way: a promise of what was asked for, and the way to the response behind it. */
import type { ClientResponse } from './client-response.ts'

/**
 * What a method of the client gives. Awaiting it gives the content in the format asked for; `response`
 * has status and fields as well.
 */
export class HttpCall<Result> implements Promise<Result> {
  /** Fulfilled when the head is here and the status is acceptable; its content may be taken once more. */
  readonly response: Promise<ClientResponse>
  readonly #read: (response: ClientResponse) => Result | Promise<Result>
  #result: Promise<Result> | undefined

  constructor(
    response: Promise<ClientResponse>,
    read: (response: ClientResponse) => Result | Promise<Result>,
  ) {
    this.response = response
    this.#read = read
  }

  get [Symbol.toStringTag](): string {
    return 'HttpCall'
  }

  /** The content, parsed, whatever format was asked for. */
  async json<Value = unknown>(): Promise<Value> {
    return (await this.response).json<Value>()
  }

  /** The content as text. */
  async text(): Promise<string> {
    return (await this.response).text()
  }

  /** The content. */
  async bytes(): Promise<Buffer> {
    return (await this.response).bytes()
  }

  // oxlint-disable-next-line unicorn/no-thenable -- a promise is what it is
  then<Fulfilled = Result, Rejected = never>(
    onFulfilled?: ((value: Result) => Fulfilled | PromiseLike<Fulfilled>) | null,
    onRejected?: ((reason: unknown) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<Fulfilled | Rejected> {
    this.#result ??= this.response.then(this.#read)
    return this.#result.then(onFulfilled, onRejected)
  }

  catch<Rejected = never>(
    onRejected?: ((reason: unknown) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<Result | Rejected> {
    return this.then(undefined, onRejected)
  }

  finally(onFinally?: (() => void) | null): Promise<Result> {
    this.#result ??= this.response.then(this.#read)
    return this.#result.finally(onFinally)
  }
}

/**
 * The platform's Response with what only a fetch can give it: URL, redirection, type, and any status
 * that a server may send.
 */
import type { HeaderFields } from '../../protocol/semantics/header-fields.ts'

/** The head of a response, as fetch shows it. */
export interface FetchedHead {
  readonly status: number
  readonly statusText: string
  readonly headers: HeaderFields | Headers
  /** The last of several, without fragment. */
  readonly url: string
  readonly redirected: boolean
  /** `cors` after a redirection to another origin. */
  readonly type: Response['type']
}

const SHOWN = ['status', 'statusText', 'url', 'redirected', 'type'] as const

/** A response of fetch: its constructor takes what that of Response refuses, a status of 600, say. */
export class FetchedResponse extends Response {
  readonly #head: FetchedHead

  static {
    // Accessors, as they are in the platform; its types say properties, which cannot be overridden so.
    for (const name of SHOWN) {
      // The constructor of Response looks at its status before there is a head.
      defineGetter(this.prototype, name, (response) =>
        #head in response ? response.#head[name] : Reflect.get(Response.prototype, name, response),
      )
    }
    defineGetter(this.prototype, 'ok', ({ status }) => status >= 200 && status <= 299)
  }

  constructor(body: ConstructorParameters<typeof Response>[0], head: FetchedHead) {
    const { headers } = head
    super(body, { headers: headers instanceof Headers ? headers : [...headers].map(toPair) })
    this.#head = head
  }

  override clone(): Response {
    const { body, headers } = super.clone()
    return new FetchedResponse(body, { ...this.#head, headers })
  }
}

function defineGetter(
  prototype: FetchedResponse,
  name: string,
  read: (response: FetchedResponse) => unknown,
): void {
  Object.defineProperty(prototype, name, {
    get(this: FetchedResponse) {
      return read(this)
    },
    enumerable: true,
    configurable: true,
  })
}

function toPair([name, value]: readonly [string, string]): [string, string] {
  return [name, value]
}

/** A server that tests send requests to: one program, the same site over plain TCP and over TLS. */
import type { ServerProcess } from './server-process.ts'

/** How requests reach the server. */
export type Scheme = 'http' | 'https'

/** A running server of the test site. Whoever starts it disposes of it. */
export class OriginServer implements AsyncDisposable {
  readonly #process: ServerProcess
  readonly #reload: (() => Promise<void>) | undefined

  /** Its first port is the plain one, its second that of TLS. */
  constructor(process: ServerProcess, reload?: () => Promise<void>) {
    this.#process = process
    this.#reload = reload
  }

  get name(): string {
    return this.#process.name
  }

  get log(): string {
    return this.#process.log
  }

  get port(): number {
    return this.#process.ports[0] as number
  }

  get tlsPort(): number {
    return this.#process.ports[1] as number
  }

  url(path: string, scheme: Scheme = 'http'): string {
    return `${scheme}://127.0.0.1:${scheme === 'http' ? this.port : this.tlsPort}${path}`
  }

  /** Makes it take up its settings anew while it serves, as its administrator would. */
  async reload(): Promise<void> {
    if (this.#reload === undefined) throw new Error(`${this.name} cannot reload`)
    await this.#reload()
  }

  /** Kills it, in the middle of whatever it does. */
  kill(): Promise<void> {
    return this.#process.kill()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]()
  }
}

/** A proxy that tests go through, with what they ask of it whatever program it is. */
import type { ServerProcess } from './server-process.ts'

/** Who may use a proxy. */
export interface ProxyUser {
  readonly username: string
  readonly password: string
}

/** What proxies are told; without `user` everybody may use them. */
export interface ProxyServerOptions {
  readonly user?: ProxyUser | undefined
}

/** A running proxy. Whoever starts it disposes of it. */
export class ProxyServer implements AsyncDisposable {
  readonly #process: ServerProcess

  constructor(process: ServerProcess) {
    this.#process = process
  }

  get name(): string {
    return this.#process.name
  }

  /** What it has printed so far: each connection or request among it. */
  get log(): string {
    return this.#process.log
  }

  get port(): number {
    return this.#process.ports[0] as number
  }

  /** Where it speaks TLS, if it does at all. */
  get tlsPort(): number {
    return this.#process.ports[1] as number
  }

  /** Kills it, in the middle of whatever it does. */
  kill(): Promise<void> {
    return this.#process.kill()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]()
  }
}

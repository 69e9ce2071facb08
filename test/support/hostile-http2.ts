/** Starts hostile-http2/main.py: a server that breaks the rules of HTTP/2 as it is asked to. */
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ServerProcess } from './server-process.ts'
import { requireTool } from './tools.ts'

/** How a port begins a connection, in the order of the ports; `oracle` is an honest server. */
const GREETINGS = ['settings', 'silent', 'http1', 'ping', 'close', 'full', 'oracle'] as const

export type Greeting = (typeof GREETINGS)[number]

/** What the server tells of a connection; each line has one of the facts. */
export interface Observation {
  readonly connection: number
  /** The path of a request. */
  readonly request?: string
  /** An error that the client sent: `GOAWAY PROTOCOL_ERROR`. */
  readonly sent?: string
  /** Something that the client must not do. */
  readonly complaint?: string
  readonly note?: string
  readonly closed?: true
  /** How many streams the oracle had open at once. */
  readonly peak?: number
}

/** The running server. Whoever starts it disposes of it. */
export class HostileHttp2 implements AsyncDisposable {
  readonly #process: ServerProcess

  private constructor(process: ServerProcess) {
    this.#process = process
  }

  static async start(): Promise<HostileHttp2> {
    const main = fileURLToPath(new URL('./hostile-http2/main.py', import.meta.url))
    const modules = dirname(requireTool('python3-h2'))
    const process = await ServerProcess.start({
      name: 'hostile-http2',
      path: requireTool('python3'),
      portCount: GREETINGS.length,
      // No byte code is left beside the sources.
      configure: (_folder, ports) => Promise.resolve(['-B', main, modules, ...ports.map(String)]),
    })
    return new HostileHttp2(process)
  }

  get log(): string {
    return this.#process.log
  }

  url(path: string, greeting: Greeting = 'settings'): string {
    return `http://127.0.0.1:${this.#process.ports[GREETINGS.indexOf(greeting)]}${path}`
  }

  /** All that it has told so far of the connections that a request came on, by the request's path. */
  observationsOf(path: string): readonly Observation[] {
    const all = this.#observations()
    const connections = new Set(
      all.filter(({ request }) => request === path).map(({ connection }) => connection),
    )
    return all.filter(({ connection }) => connections.has(connection))
  }

  /** All that it has told so far. */
  observations(): readonly Observation[] {
    return this.#observations()
  }

  #observations(): readonly Observation[] {
    // The last line may not be whole.
    const lines = this.log.split('\n').slice(0, -1)
    return lines
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Observation)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]()
  }
}

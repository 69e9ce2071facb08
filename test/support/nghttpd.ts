/** Debian's nghttpd: a server of files of the library that curl and others speak HTTP/2 with. */
import type { Http2Options } from './http2-options.ts'
import type { Scheme } from './origin-server.ts'
import { ServerProcess } from './server-process.ts'
import type { Site } from './site.ts'
import { requireTool } from './tools.ts'

/** What nghttpd is told. */
export interface NghttpdOptions extends Http2Options {
  /** Bytes of padding that a frame may have. @defaultValue 0 */
  readonly maxPadding?: number
}

/** Two processes, since nghttpd has one port each. Whoever starts it disposes of it. */
export class Nghttpd implements AsyncDisposable {
  readonly name = 'nghttpd'
  readonly #processes: Readonly<Record<Scheme, ServerProcess>>

  private constructor(processes: Readonly<Record<Scheme, ServerProcess>>) {
    this.#processes = processes
  }

  /** Starts it; it sends content of POST and PUT back, and the trailer X-Sum after any content. */
  static async start(site: Site, http2: NghttpdOptions): Promise<Nghttpd> {
    const [http, https] = await Promise.all([
      startProcess(site, http2, 'http'),
      startProcess(site, http2, 'https'),
    ])
    return new Nghttpd({ http, https })
  }

  get log(): string {
    return this.#processes.http.log + this.#processes.https.log
  }

  url(path: string, scheme: Scheme): string {
    return `${scheme}://127.0.0.1:${this.#processes[scheme].ports[0]}${path}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of Object.values(this.#processes)) await process[Symbol.asyncDispose]()
  }
}

function startProcess(
  site: Site,
  { maxConcurrentStreams, maxPadding = 0 }: NghttpdOptions,
  scheme: Scheme,
): Promise<ServerProcess> {
  return ServerProcess.start({
    name: 'nghttpd',
    path: requireTool('nghttpd'),
    portCount: 1,
    configure: (_folder, [port]) =>
      Promise.resolve([
        '--address=127.0.0.1',
        `--htdocs=${site.root}`,
        `--max-concurrent-streams=${maxConcurrentStreams}`,
        `--padding=${maxPadding}`,
        '--echo-upload',
        '--trailer=x-sum: abc',
        ...(scheme === 'http'
          ? ['--no-tls', String(port)]
          : [String(port), site.tls.key, site.tls.cert]),
      ]),
  })
}

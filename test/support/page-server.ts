/** Serves a page with a script that is bundled for browsers. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { build, type Rollup } from 'vite'

/** Bundles a module and what it imports into one script. */
export async function bundlePage(entry: string): Promise<string> {
  const outputs = (await build({
    configFile: false,
    logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"production"' },
    build: { write: false, minify: false, lib: { entry, formats: ['es'], fileName: 'page' } },
  })) as Rollup.RollupOutput[]
  const [output] = outputs.flatMap((bundle) => bundle.output)
  return (output as Rollup.OutputChunk).code
}

/** An origin with one page. Whoever opens it closes it. */
export class PageServer implements AsyncDisposable {
  readonly origin: string
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
    this.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  static async open(script: string): Promise<PageServer> {
    const server = createServer(({ url }, response) => {
      const isScript = url === '/page.js'
      response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html')
      response.end(isScript ? script : '<script type="module" src="/page.js"></script>')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new PageServer(server)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

/** The reference server of tus for Node, with its store of files, on the loopback. */
import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { FileStore } from '@tus/file-store'
import { Server } from '@tus/server'
import { TempDir } from './temp-dir.ts'

/** Whoever opens it closes it. */
export class TusReferenceServer implements AsyncDisposable {
  readonly dir: TempDir
  readonly #server: HttpServer

  private constructor(dir: TempDir, server: HttpServer) {
    this.dir = dir
    this.#server = server
  }

  static async open(): Promise<TusReferenceServer> {
    const dir = await TempDir.create()
    const tus = new Server({ path: '/files', datastore: new FileStore({ directory: dir.path }) })
    const server = createServer((request, response) => void tus.handle(request, response))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new TusReferenceServer(dir, server)
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
    await this.dir[Symbol.asyncDispose]()
  }
}

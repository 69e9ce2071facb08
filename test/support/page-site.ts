/** A page of one origin, and a server for uploads of another behind a network that can be made to fail. */
import { readdir } from 'node:fs/promises'
import { KeyRing, UploadServer } from 'ferry/receive'
import { FaultProxy } from './fault-proxy.ts'
import { PageServer } from './page-server.ts'
import { TempDir } from './temp-dir.ts'

export const PAGE_KEY = 'k'.repeat(64)

/** Whoever opens it closes it. */
export class PageSite implements AsyncDisposable {
  readonly dir: TempDir
  readonly page: PageServer
  readonly network: FaultProxy
  readonly #stack: AsyncDisposableStack

  private constructor(
    parts: { readonly dir: TempDir; readonly page: PageServer; readonly network: FaultProxy },
    stack: AsyncDisposableStack,
  ) {
    this.dir = parts.dir
    this.page = parts.page
    this.network = parts.network
    this.#stack = stack
  }

  /** @param script what the page runs */
  static async open(script: string): Promise<PageSite> {
    await using stack = new AsyncDisposableStack()
    const dir = stack.use(await TempDir.create())
    const page = stack.use(await PageServer.open(script))
    const uploads = stack.use(
      await UploadServer.open(dir.path, {
        keys: KeyRing.of(PAGE_KEY),
        cors: { origins: [page.origin] },
      }),
    )
    const port = Number(new URL(await uploads.listen()).port)
    const network = stack.use(await FaultProxy.open(() => port))
    return new PageSite({ dir, page, network }, stack.move())
  }

  /** Names of the files that have arrived whole. */
  async files(): Promise<string[]> {
    return (await readdir(this.dir.path)).filter((name) => !name.startsWith('.')).sort()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}

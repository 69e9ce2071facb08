/** Chromium with a profile of its own, which may be used again. */
import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { TempDir } from './temp-dir.ts'
import { requireTool } from './tools.ts'

/** Whoever opens it closes it. */
export class TestBrowser implements AsyncDisposable {
  readonly context: BrowserContext
  readonly #folder: TempDir | undefined
  #isKilled = false

  private constructor(context: BrowserContext, folder: TempDir | undefined) {
    this.context = context
    this.#folder = folder
  }

  /** @param profile a folder that stays the caller's; without one, a folder of its own */
  static async open(profile?: string): Promise<TestBrowser> {
    const folder = profile === undefined ? await TempDir.create() : undefined
    const context = await chromium.launchPersistentContext(profile ?? folder?.path ?? '', {
      executablePath: requireTool('chromium'),
      // As root it has no sandbox.
      chromiumSandbox: false,
    })
    return new TestBrowser(context, folder)
  }

  /** Opens a page; `quotaBytes` are what its origin may keep. */
  async openPage(origin: string, quotaBytes?: number): Promise<Page> {
    const opened = await this.context.newPage()
    if (quotaBytes !== undefined) {
      const session = await this.context.newCDPSession(opened)
      await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: quotaBytes })
    }
    await opened.goto(origin)
    return opened
  }

  /** kill -9 of the browser and its helpers, which are a group of processes. */
  async kill(): Promise<void> {
    const main = (await this.processes()).find(({ type }) => type === 'browser')
    if (main === undefined) throw new Error('The browser does not tell its process')
    const closed = new Promise((resolve) => this.context.once('close', resolve))
    process.kill(-main.id, 'SIGKILL')
    await closed
    this.#isKilled = true
  }

  /** Its processes, of which each page has one of type `renderer`. */
  async processes(): Promise<{ readonly type: string; readonly id: number }[]> {
    const session = await this.context.browser()?.newBrowserCDPSession()
    const found = await session?.send('SystemInfo.getProcessInfo')
    await session?.detach()
    return found?.processInfo ?? []
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isKilled) await this.context.close()
    await this.#folder?.[Symbol.asyncDispose]()
  }
}

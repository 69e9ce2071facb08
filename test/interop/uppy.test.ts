/** Uploads from pages of other origins, in a real browser. */
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { KeyRing, UploadServer } from 'ferry/receive'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CutNetwork } from '../support/cut-network.ts'
import { numberedBytes } from '../support/numbered-bytes.ts'
import { bundlePage, PageServer } from '../support/page-server.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'
import { requireTool } from '../support/tools.ts'
import type { PageUpload, UploadPage } from '../support/upload-page.ts'

const KEY = 'k'.repeat(64)
const SIZE = 30_000_000
const CUT_AFTER_BYTES = 12_000_000

let browser: Browser
let script: string
beforeAll(async () => {
  const entry = fileURLToPath(new URL('../support/uppy-page.js', import.meta.url))
  script = await bundlePage(entry)
  // As root it has no sandbox.
  const options = { executablePath: requireTool('chromium'), chromiumSandbox: false }
  browser = await chromium.launch(options)
})
afterAll(() => browser?.close())

/** A server for uploads behind a network that breaks once, and pages of two origins. */
class Site implements AsyncDisposable {
  readonly dir: TempDir
  readonly uploads: UploadServer
  readonly endpoint: string
  readonly listed: PageServer
  readonly other: PageServer
  readonly #stack: AsyncDisposableStack

  private constructor(
    parts: {
      readonly dir: TempDir
      readonly uploads: UploadServer
      readonly network: CutNetwork
      readonly listed: PageServer
      readonly other: PageServer
    },
    stack: AsyncDisposableStack,
  ) {
    this.dir = parts.dir
    this.uploads = parts.uploads
    this.listed = parts.listed
    this.other = parts.other
    this.endpoint = `http://127.0.0.1:${parts.network.port}/files`
    this.#stack = stack
  }

  static async open(): Promise<Site> {
    await using stack = new AsyncDisposableStack()
    const dir = stack.use(await TempDir.create())
    const listed = stack.use(await PageServer.open(script))
    const other = stack.use(await PageServer.open(script))
    const uploads = stack.use(
      await UploadServer.open(dir.path, {
        keys: KeyRing.of(KEY),
        cors: { origins: [listed.origin] },
      }),
    )
    const { port } = new URL(await uploads.listen())
    const network = stack.use(await CutNetwork.open(Number(port), CUT_AFTER_BYTES))
    return new Site({ dir, uploads, network, listed, other }, stack.move())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}

async function openPage({ origin }: PageServer): Promise<Page> {
  const page = await browser.newPage()
  await page.goto(origin)
  await page.waitForFunction('globalThis.uploadWithUppy')
  return page
}

function uploadWithUppy(page: Page, upload: PageUpload): Promise<string | undefined> {
  return page.evaluate((told) => (globalThis as unknown as UploadPage).uploadWithUppy(told), upload)
}

test('Uppy in Chromium goes on after the network has broken, and the file arrives whole', async () => {
  await using site = await Site.open()
  const page = await openPage(site.listed)
  const sent: string[] = []
  page.on('request', (request) => {
    const offset = Number(request.headers()['upload-offset'] ?? 0)
    sent.push(`${request.method()}${offset > 0 ? ' further' : ''}`)
  })

  const upload = { endpoint: site.endpoint, key: KEY, name: 'file.bin', size: SIZE }
  const failure = await uploadWithUppy(page, upload)

  expect(failure).toBeUndefined()
  expect(await site.dir.digest('file.bin')).toBe(digestOf(Buffer.from(numberedBytes(SIZE))))
  expect(sent.filter((method) => method === 'POST').length).toBe(1)
  expect(sent).toContain('HEAD')
  expect(sent).toContain('PATCH further')
  await page.close()
})

test('A page in Chromium uploads by the draft, and is told the digest', async () => {
  await using site = await Site.open()
  const page = await openPage(site.listed)
  const upload = { endpoint: site.endpoint, key: KEY, name: 'file.bin', size: 3_000_000 }

  const { statuses, digest } = await page.evaluate(
    (told) => (globalThis as unknown as UploadPage).uploadByDraft(told),
    upload,
  )

  const content = numberedBytes(upload.size)
  expect(statuses).toEqual([201, 204, 204, 201])
  expect(digest).toBe(`sha-256=:${createHash('sha256').update(content).digest('base64')}:`)
  expect(await site.dir.digest('file.bin')).toBe(digestOf(Buffer.from(content)))
  await page.close()
})

test('A page whose origin is not listed uploads nothing', async () => {
  await using site = await Site.open()
  const page = await openPage(site.other)

  const upload = { endpoint: site.endpoint, key: KEY, name: 'file.bin', size: 1000 }
  const failure = await uploadWithUppy(page, upload)

  expect(failure).toMatch(/failed to (fetch|create upload)|network/i)
  expect([...site.uploads.core.list()]).toEqual([])
  expect(await site.dir.names()).toEqual(['.ferry'])
  await page.close()
})

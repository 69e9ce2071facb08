/** The outbox of a page, in a real browser. */
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { OutboxPage } from '../support/outbox-page-calls.ts'
import { bundlePage, PageServer } from '../support/page-server.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'
import { TestBrowser } from '../support/test-browser.ts'

const TIMEOUT_MS = 120_000
const MIB = 1_048_576

/** How lasting what is kept of parts is asked to be. */
const WATCH_DURABILITY = `
  globalThis.durabilities = new Set()
  const { put } = IDBObjectStore.prototype
  IDBObjectStore.prototype.put = function (...given) {
    if (this.name === 'parts') durabilities.add(this.transaction.durability)
    return put.apply(this, given)
  }
`

let script: string
let server: PageServer
beforeAll(async () => {
  const entry = fileURLToPath(new URL('../support/outbox-page.ts', import.meta.url))
  script = await bundlePage(entry)
  server = await PageServer.open(script)
}, TIMEOUT_MS)
afterAll(() => server?.[Symbol.asyncDispose]())

test(
  'items are kept in order, with their parts, until they are done',
  async () => {
    await using browser = await TestBrowser.open()
    const page = await openPage(browser)
    await page.evaluate(WATCH_DURABILITY)

    const { value: items = [] } = await call(page, 'add', [
      { name: 'ä/日本', size: 250_000, partBytes: 100_000 },
      { name: 'empty', size: 0, partBytes: 100 },
      { name: 'small', size: 10, partBytes: 100 },
    ])
    const [first, empty, small] = items.map(({ id }) => id)

    const bytes = Buffer.from(Uint8Array.from({ length: 250_000 }, (_, at) => at % 251))
    expect(items.map(({ name, size }) => [name, size])).toEqual([
      ['ä/日本', 250_000],
      ['empty', 0],
      ['small', 10],
    ])
    expect(items[0]?.content).toEqual({
      mode: 'stored',
      partBytes: 100_000,
      keptFrom: 0,
      sha256: digestOf(bytes),
    })
    expect(items[1]?.content).toMatchObject({ sha256: digestOf(Buffer.alloc(0)) })

    // What is relaxed keeps large parts in files that a power cut may empty.
    expect(await page.evaluate('[...durabilities]')).toEqual(['strict'])

    await page.reload()
    expect((await call(page, 'list')).value).toEqual(items)
    expect(await call(page, 'lease', first)).toEqual({ value: true })
    const { value: part } = await call(page, 'readPart', first, 2)
    expect(part).toEqual({
      offset: 200_000,
      length: 50_000,
      head: [...bytes.subarray(200_000, 200_010)],
      sha256: digestOf(bytes.subarray(200_000)),
    })
    expect(await call(page, 'readPart', first, 3)).toEqual({ code: 'RangeError' })
    await call(page, 'setNote', first, { url: 'ü', at: [1] })
    await call(page, 'dropParts', first, 199_999)
    expect(await call(page, 'readPart', first, 0)).toEqual({ code: 'RangeError' })
    await call(page, 'release', first)
    expect(await call(page, 'readPart', first, 1)).toEqual({ code: 'locked' })

    await page.reload()
    const kept = await call(page, 'list')
    expect(kept.value?.[0]).toMatchObject({
      note: { url: 'ü', at: [1] },
      size: 250_000,
      content: { keptFrom: 100_000 },
    })
    await call(page, 'lease', first)
    expect((await call(page, 'readPart', first, 1)).value?.offset).toBe(100_000)
    await call(page, 'done', first)
    expect(await call(page, 'readPart', first, 1)).toEqual({ code: 'upload-not-found' })
    expect(await call(page, 'remove', empty)).toEqual({ value: true })
    expect(await call(page, 'remove', empty)).toEqual({ value: false })
    expect((await call(page, 'list')).value?.map(({ id }) => id)).toEqual([small])
    await call(page, 'remove', small)
    expect(await call(page, 'countRecords')).toBe(0)
    await call(page, 'close')
    expect(await call(page, 'list')).toEqual({ code: 'TypeError' })
  },
  TIMEOUT_MS,
)

test(
  'an outbox that others clear away or change while it is open goes on with what is there',
  async () => {
    await using browser = await TestBrowser.open()
    const page = await openPage(browser)
    await call(page, 'add', [{ name: 'a', size: 10, partBytes: 10 }])

    // A tab of a later Ferry.
    await page.evaluate(asRequest('open("ferry-outbox-indexcp", 2)'))
    expect(await call(page, 'list')).toEqual({ code: 'outbox-unusable' })
    await page.evaluate(asRequest('deleteDatabase("ferry-outbox-indexcp")'))
    expect(await call(page, 'list')).toEqual({ value: [] })
    await call(page, 'add', [{ name: 'b', size: 10, partBytes: 10 }])

    const session = await browser.context.newCDPSession(page)
    const { origin } = server
    await session.send('Storage.clearDataForOrigin', { origin, storageTypes: 'indexeddb' })
    await expect.poll(() => call(page, 'list')).toEqual({ value: [] })
    await call(page, 'add', [{ name: 'c', size: 10, partBytes: 10 }])
    expect((await call(page, 'list')).value?.map(({ name }) => name)).toEqual(['c'])

    // Another tab that looks for what was left half-added takes nothing that has become whole.
    await call(page, 'addWhileOpening', 'd')
    expect((await call(page, 'list')).value?.map(({ name }) => name)).toEqual(['c', 'd'])

    expect(await page.evaluate(OPEN_WITHOUT_ORIGIN, script)).toMatch(
      /Cannot open the outbox .*: the browser lets this page keep nothing$/,
    )
  },
  TIMEOUT_MS,
)

test(
  'two tabs never have the same item, and a tab that is closed gives it back',
  async () => {
    await using browser = await TestBrowser.open()
    const one = await openPage(browser)
    const two = await openPage(browser)
    const { value: items } = await call(one, 'add', [{ name: 'a', size: 10, partBytes: 10 }])
    const id = items?.[0]?.id ?? ''

    const leases = await Promise.all([call(one, 'lease', id), call(two, 'lease', id)])

    expect(leases.filter(({ value }) => value === true).length).toBe(1)
    const [holder, other] = leases[0]?.value === true ? [one, two] : [two, one]
    expect(await call(other, 'remove', id)).toEqual({ value: false })
    await holder.close()
    await expect
      .poll(() => call(other, 'lease', id), { timeout: TIMEOUT_MS / 2 })
      .toEqual({ value: true })
    expect((await call(other, 'readPart', id, 0)).value?.offset).toBe(0)
  },
  TIMEOUT_MS,
)

test(
  'what a tab was adding when it was closed is not there, and is cleared away',
  async () => {
    await using browser = await TestBrowser.open()
    const closing = await openPage(browser)
    const staying = await openPage(browser)
    await call(staying, 'add', [{ name: 'whole', size: 250, partBytes: 100 }])
    const unfinished = closing.evaluate(() => outboxPage.addEndless('half', 100))
    await unfinished
    // What is still being added is left alone.
    await staying.reload()
    expect(await call(staying, 'countRecords')).toBe(1 + 3 + 1 + 2)

    await closing.close()

    const countAnew = async (): Promise<number> => {
      await staying.reload()
      return await call(staying, 'countRecords')
    }
    await expect.poll(countAnew, { timeout: TIMEOUT_MS / 2 }).toBe(1 + 3)
    expect((await call(staying, 'list')).value?.map(({ name }) => name)).toEqual(['whole'])
  },
  TIMEOUT_MS,
)

test(
  'what is added is there after kill -9 of the browser, and nothing by halves',
  async () => {
    await using folder = await TempDir.create()
    {
      await using browser = await TestBrowser.open(folder.path)
      const tab = await openPage(browser)
      const { value } = await call(tab, 'add', [{ name: 'whole', size: 2.5 * MIB, partBytes: MIB }])
      expect(value?.length).toBe(1)
      await tab.evaluate(() => outboxPage.addEndless('half', 100))
      await browser.kill()
    }

    await using browser = await TestBrowser.open(folder.path)
    const tab = await openPage(browser)

    const { value: items = [] } = await call(tab, 'list')
    expect(items.map(({ name, size }) => [name, size])).toEqual([['whole', 2.5 * MIB]])
    const id = items[0]?.id ?? ''
    expect(await call(tab, 'lease', id)).toEqual({ value: true })
    // Reading holds the bytes against their digest.
    for (const index of [0, 1, 2]) {
      expect((await call(tab, 'readPart', id, index)).value?.offset).toBe(index * MIB)
    }
    expect(await call(tab, 'countRecords')).toBe(1 + 3)
  },
  TIMEOUT_MS,
)

test(
  'a quota that is used up ends the adding and nothing else',
  async () => {
    await using browser = await TestBrowser.open()
    const tab = await openPage(browser, 5 * MIB)
    await call(tab, 'add', [{ name: 'small', size: 10, partBytes: 10 }])

    const huge = await call(tab, 'add', [
      { name: 'huge', size: 30 * MIB, partBytes: MIB, isRandom: true },
    ])

    expect(huge).toEqual({ code: 'no-space' })
    expect((await call(tab, 'list')).value?.map(({ name }) => name)).toEqual(['small'])
    await call(tab, 'add', [{ name: 'after', size: 10, partBytes: 10 }])
    expect((await call(tab, 'list')).value?.map(({ name }) => name)).toEqual(['small', 'after'])
    expect(await call(tab, 'countRecords')).toBe(4)
  },
  TIMEOUT_MS,
)

/** Within a page. */
declare const outboxPage: OutboxPage

/** Calls the outbox of a page. */
async function call<Name extends keyof OutboxPage>(
  tab: Page,
  name: Name,
  ...args: Partial<Parameters<OutboxPage[Name]>>
): Promise<Awaited<ReturnType<OutboxPage[Name]>>> {
  await tab.waitForFunction('globalThis.outboxPage !== undefined')
  return (await tab.evaluate(
    ([method, given]) => {
      const outbox = outboxPage as unknown as Record<string, (...all: unknown[]) => unknown>
      return outbox[method]?.(...given)
    },
    [name, args] as [string, unknown[]],
  )) as Awaited<ReturnType<OutboxPage[Name]>>
}

/** A request of IndexedDB as something to be waited for; a database is closed at once. */
function asRequest(call: string): string {
  return `new Promise((resolve, reject) => {
    const request = indexedDB.${call}
    request.onsuccess = () => resolve(request.result?.close())
    request.onerror = () => reject(request.error)
  })`
}

/** Runs the script of the page in a frame that has no origin of its own; gives what goes wrong there. */
const OPEN_WITHOUT_ORIGIN = (code: string): Promise<string> =>
  new Promise((resolve) => {
    const scope = globalThis as unknown as Frames
    scope.onmessage = ({ data }) => resolve(data)
    const frame = scope.document.createElement('iframe')
    frame.sandbox = 'allow-scripts'
    frame.srcdoc = `<script>
      onerror = (message) => parent.postMessage(message, '*')
      onunhandledrejection = ({ reason }) => parent.postMessage(reason.message, '*')
    </script><script type="module">${code}</script>`
    scope.document.body.append(frame)
  })

/** As much of a page as that takes. */
interface Frames {
  onmessage: (message: { readonly data: string }) => void
  readonly document: {
    createElement(name: 'iframe'): { sandbox: string; srcdoc: string }
    readonly body: { append(frame: unknown): void }
  }
}

async function openPage(browser: TestBrowser, quotaBytes?: number): Promise<Page> {
  const opened = await browser.openPage(server.origin, quotaBytes)
  await opened.waitForFunction('globalThis.outboxPage !== undefined')
  return opened
}

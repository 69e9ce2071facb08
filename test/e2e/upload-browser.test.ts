/** Sending from pages and workers, in a real browser: what is added arrives once and whole. */
import { utimes } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CutNetwork } from '../support/cut-network.ts'
import { numberedBytes } from '../support/numbered-bytes.ts'
import { bundlePage, PageServer } from '../support/page-server.ts'
import { PAGE_KEY as KEY, PageSite } from '../support/page-site.ts'
import { ProcessMemory } from '../support/process-memory.ts'
import type { PageReport, SendingPage } from '../support/sending-page-calls.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'
import { TestBrowser } from '../support/test-browser.ts'
import { TusReferenceServer } from '../support/tus-reference-server.ts'

const MB = 1_000_000
const SIZE = 6 * MB
// With FERRY_BIG=1 what breaks in the middle is as large as it gets, and figures are told. Time is not
// that of others: whoever drives the browser is given a copy of each body.
const IS_BIG = process.env['FERRY_BIG'] === '1'
const CUT_SIZE = IS_BIG ? 300 * MB : SIZE
const ENDPOINTS = { indexedcp: '/upload', tus: '/files', ietf: '/files' } as const
/** Enough for every connection that a browser opens at a time. */
const MANY = 12

let script: string
let browser: TestBrowser
beforeAll(async () => {
  script = await bundlePage(fileURLToPath(new URL('../support/sending-page.ts', import.meta.url)))
  browser = await TestBrowser.open()
})
afterAll(() => browser?.[Symbol.asyncDispose]())

test('the bundle for a page has nothing of Node, and nothing that browsers of 2024 lack', () => {
  expect(script).not.toMatch(/["'`]node:|__vite-browser-external/)
  // As it stands, or as it is rewritten for those that have Symbol.asyncDispose.
  expect(script).not.toMatch(/\bawait using\b|SuppressedError/)
})

test.for(['indexedcp', 'tus', 'ietf'] as const)(
  'by %s a file arrives once and whole although the network breaks',
  { timeout: 900_000 },
  async (protocol) => {
    await using site = await PageSite.open(script)
    await using cut = await CutNetwork.open(portOf(site.network.url), CUT_SIZE / 2)
    const page = await openPage(site.page.origin)
    const ids = (await browser.processes()).map(({ id }) => id)
    using memory = new ProcessMemory(ids)
    const options = { protocol, keys: [KEY], retryDelayMs: 100 }
    await call(page, 'open', IS_BIG ? options : { ...options, chunkBytes: MB })
    const startedAt = performance.now()
    await call(page, 'add', [{ name: 'file.bin', size: CUT_SIZE, isStream: true }])
    const addedAt = performance.now()

    const sent = await call(page, 'send', `http://127.0.0.1:${cut.port}${ENDPOINTS[protocol]}`)

    const sentAt = performance.now()
    expect(sent).toEqual({ value: { 'file.bin': expect.any(String) } })
    expect(cut.isCut).toBe(true)
    // Whether the browser itself has sent a request again is its business.
    const { completed } = await call(page, 'report')
    expect(completed).toMatchObject([{ name: 'file.bin', protocol }])
    if (IS_BIG) {
      const figures = [
        `${protocol}: added in ${((addedAt - startedAt) / 1000).toFixed(1)} s`,
        `sent in ${((sentAt - addedAt) / 1000).toFixed(1)} s`,
        `${((completed[0]?.transmittedBytes ?? 0) / CUT_SIZE).toFixed(3)} of it transmitted`,
        `all processes of the browser grew by ${(memory.grownBytes / MB).toFixed(0)} MB at most`,
      ]
      console.log(figures.join(', '))
    }
    await expectArrived(site, { 'file.bin': CUT_SIZE })
    expect(await call(page, 'list')).toEqual([])
    await page.close()
  },
)

test('by tus a file arrives at the reference server, in one request and with digests, past the outbox too', async () => {
  await using pages = await PageServer.open(script)
  await using server = await TusReferenceServer.open()
  await using cut = await CutNetwork.open(server.port, SIZE / 2)
  const page = await openPage(pages.origin)
  await call(page, 'open', { retryDelayMs: 100, chunkBytes: 2 * MB })
  await call(page, 'add', [{ name: 'file.bin', size: SIZE }])

  const url = `http://127.0.0.1:${cut.port}/files`
  expect(await call(page, 'send', url)).toMatchObject({ value: { 'file.bin': 'file.bin' } })
  const direct = await call(page, 'upload', url, 3 * MB, { checksum: true })

  expect(direct.value).toMatchObject({ protocol: 'tus', transmittedBytes: 3 * MB })
  expect(cut.isCut).toBe(true)
  const names = (await server.dir.names()).filter((name) => !name.endsWith('.json'))
  const digests = await Promise.all(names.map((name) => server.dir.digest(name)))
  expect(digests.sort()).toEqual([SIZE, 3 * MB].map(digestOfSize).sort())
  expect(await call(page, 'list')).toEqual([])
  await page.close()
})

test.for(['indexedcp', 'tus', 'ietf'] as const)(
  'by %s it goes on where it was after the tab was closed in the middle',
  async (protocol) => {
    await using site = await PageSite.open(script)
    const url = site.network.url + ENDPOINTS[protocol]
    const first = await openPage(site.page.origin)
    await sendHalf(site, first, { protocol, url })

    await first.close()
    heal(site)
    const second = await openPage(site.page.origin)
    await call(second, 'open', { protocol, keys: [KEY], chunkBytes: MB / 4 })
    await call(second, 'start', url)

    await expect.poll(() => call(second, 'list')).toEqual([])
    const { completed } = await call(second, 'report')
    expect(completed).toMatchObject([{ name: 'file.bin', protocol }])
    expect(completed[0]?.resumedBytes).toBeGreaterThan(0)
    await call(second, 'stop')
    await expectArrived(site, { 'file.bin': SIZE })
    await second.close()
  },
)

test('it goes on after kill -9 of the browser, by the protocol that the server tells', async () => {
  await using folder = await TempDir.create()
  await using site = await PageSite.open(script)
  const url = `${site.network.url}/files`
  {
    await using killed = await TestBrowser.open(folder.path)
    await sendHalf(site, await openPage(site.page.origin, killed), { url })
    await killed.kill()
  }
  heal(site)

  await using again = await TestBrowser.open(folder.path)
  const page = await openPage(site.page.origin, again)
  await call(page, 'open', { keys: [KEY], chunkBytes: MB / 4 })
  expect(await call(page, 'send', url)).toMatchObject({ value: { 'file.bin': expect.any(String) } })

  expect((await call(page, 'report')).completed[0]?.resumedBytes).toBeGreaterThan(0)
  await expectArrived(site, { 'file.bin': SIZE })
  expect(await call(page, 'list')).toEqual([])
})

test('two tabs of one outbox send each file once, by the protocol that the server tells', async () => {
  await using site = await PageSite.open(script)
  const tabs = [await openPage(site.page.origin), await openPage(site.page.origin)] as const
  const sizes = Object.fromEntries(
    Array.from({ length: 8 }, (_, at) => [`${at}.bin`, 300_000 + at]),
  )
  for (const tab of tabs) await call(tab, 'open', { keys: [KEY], files: 2 })
  const files = Object.entries(sizes).map(([name, size]) => ({ name, size }))
  await call(tabs[0], 'add', files.slice(0, 4))
  await call(tabs[1], 'add', files.slice(4))

  const url = `${site.network.url}/upload`
  const [one, two] = await Promise.all(tabs.map((tab) => call(tab, 'send', url)))

  // What one tab has, the other one does not have.
  const names = [one, two].flatMap((outcome) => Object.keys(outcome?.value ?? {}))
  expect(names.toSorted()).toEqual(Object.keys(sizes))
  expect(await call(tabs[1], 'list')).toEqual([])
  await expectArrived(site, sizes)
  for (const tab of tabs) await tab.close()
})

test('a worker sends as a page does', async () => {
  await using site = await PageSite.open(script)
  const page = await openPage(site.page.origin)
  await call(page, 'inWorker', 'open', { keys: [KEY] })
  await call(page, 'inWorker', 'add', [{ name: 'a.bin', size: 3 * MB, isStream: true }])

  expect(await call(page, 'inWorker', 'send', `${site.network.url}/files`)).toEqual({
    value: { 'a.bin': 'a.bin' },
  })
  await expectArrived(site, { 'a.bin': 3 * MB })
  await page.close()
})

test('a quota that is used up refuses what is added then, and loses nothing', async () => {
  await using site = await PageSite.open(script)
  const page = await openPage(site.page.origin, browser, 8 * MB)
  // Of what it would take days to send.
  await call(page, 'open', { keys: [KEY], limitBytesPerSecond: 1 })
  await call(page, 'add', [{ name: 'small.bin', size: MB }])

  const refused = await call(page, 'add', [{ name: 'huge.bin', size: 40 * MB, isStream: true }])

  expect(refused).toEqual({
    code: 'no-space',
    message: expect.stringMatching(/^Cannot add to the outbox .*: the browser gives no more room$/),
  })
  expect(await call(page, 'list')).toEqual(['small.bin'])
  await call(page, 'add', [{ name: 'after.bin', size: MB }])
  const sent = call(page, 'send', `${site.network.url}/files`)
  await expect
    .poll(() => site.network.requests.filter((line) => line.startsWith('POST')).length)
    .toBe(1)
  await call(page, 'limit')
  expect(await sent).toMatchObject({
    value: { 'small.bin': 'small.bin', 'after.bin': 'after.bin' },
  })
  await expectArrived(site, { 'small.bin': MB, 'after.bin': MB })
  await page.close()
})

test('refused credentials are asked for again, and cost nothing that the server has', async () => {
  await using site = await PageSite.open(script)
  const page = await openPage(site.page.origin)
  const url = `${site.network.url}/files`
  await sendHalf(site, page, { url, protocol: 'tus' })
  await call(page, 'cancel')
  heal(site)

  await call(page, 'open', { protocol: 'tus', keys: ['x'.repeat(64)] })
  expect(await call(page, 'send', url)).toMatchObject({ code: 'http-status' })
  await call(page, 'open', { protocol: 'tus', keys: ['x'.repeat(64), KEY] })
  await call(page, 'send', url)

  const { completed, events } = await call(page, 'report')
  expect(events).toContain('credentials')
  expect(completed[0]?.resumedBytes).toBeGreaterThan(0)
  expect(site.network.requests.filter((line) => line.startsWith('POST')).length).toBe(1)
  await expectArrived(site, { 'file.bin': SIZE })
  await page.close()
})

test('a server that takes nothing any more, or does not answer, is given up and asked again', async () => {
  await using site = await PageSite.open(script)
  const page = await openPage(site.page.origin)
  // The system takes some megabytes that the server does not: of less than that, often only the answer
  // is missed.
  const size = IS_BIG ? 60 * MB : SIZE
  const timeouts = { stallTimeoutMs: 2000, answerTimeoutMs: IS_BIG ? 60_000 : 2000 }
  const options = { protocol: 'tus', keys: [KEY], retryDelayMs: 10, chunkBytes: size } as const
  await call(page, 'open', { ...options, ...timeouts })
  await call(page, 'add', [{ name: 'file.bin', size }])
  site.network.faults.push(...stalls(2))

  const sent = await call(page, 'send', `${site.network.url}/files`)

  expect(sent).toEqual({ value: { 'file.bin': 'file.bin' } })
  expect((await report(page)).events).toContain('retry timeout')
  await expectArrived(site, { 'file.bin': size })
  await page.close()
})

test('while the browser is offline it waits, and goes on at once when it is online again', async () => {
  await using site = await PageSite.open(script)
  const page = await openPage(site.page.origin)
  // Nobody would wait for that.
  const options = { protocol: 'tus', keys: [KEY], retryDelayMs: 3_600_000 } as const
  await call(page, 'open', { ...options, chunkBytes: MB / 4 })
  await call(page, 'add', [{ name: 'file.bin', size: SIZE }])
  site.network.faults.push(...stalls())
  const sent = call(page, 'send', `${site.network.url}/files`)
  await expect.poll(async () => (await report(page)).acknowledged['file.bin']).toBeGreaterThan(0)

  await page.context().setOffline(true)
  try {
    // The browser would send again by itself what breaks just before it is offline.
    await site.network.goDown()
    await expect.poll(async () => (await report(page)).events).toContain('state waiting')
    site.network.faults.length = 0
    await site.network.comeUp()
  } finally {
    await page.context().setOffline(false)
  }
  // The browser may say so before it is: a hint that comes too early is none.
  const isSent = async (): Promise<boolean> => {
    await page.evaluate('dispatchEvent(new Event("online"))')
    return (await call(page, 'list')).length === 0
  }
  await expect.poll(isSent).toBe(true)
  expect(await sent).toEqual({ value: { 'file.bin': 'file.bin' } })
  await expectArrived(site, { 'file.bin': SIZE })
  await page.close()
})

test('what is sent can be paused, goes on, and can be taken out, which the server is told', async () => {
  await using site = await PageSite.open(script)
  const page = await openPage(site.page.origin)
  const { id, sent } = await sendHalf(site, page, {
    protocol: 'tus',
    url: `${site.network.url}/files`,
  })

  // As the browser's button does, which ends every request that the page has begun.
  const stop = async (): Promise<readonly string[]> => {
    await page.evaluate('stop()')
    return (await report(page)).events
  }
  await expect
    .poll(stop)
    .toEqual(expect.arrayContaining([expect.stringMatching(/^retry (offline|connection-lost)$/)]))
  await call(page, 'pause')
  await expect.poll(async () => (await report(page)).events).toContain('state paused')
  site.network.faults.length = 0
  site.network.faults.push(...stalls())
  await call(page, 'resume')
  await expect.poll(async () => (await report(page)).events.at(-1)).not.toBe('state paused')
  site.network.faults.length = 0
  expect(await call(page, 'remove', id)).toEqual({ value: true })

  expect(await sent).toEqual({ value: {} })
  expect(await call(page, 'list')).toEqual([])
  expect(site.network.requests.some((line) => line.startsWith('DELETE /files/'))).toBe(true)
  expect(await site.files()).toEqual([])
  expect(await call(page, 'remove', id)).toEqual({ value: false })
  await page.close()
})

test('a server that lets no page of the origin in is told of as such, once for all files', async () => {
  await using site = await PageSite.open(script)
  await using other = await PageServer.open(script)
  const page = await openPage(other.origin)
  await call(page, 'open', { protocol: 'tus', keys: [KEY], maxRetries: 1, retryDelayMs: 10 })
  await call(page, 'add', [
    { name: 'a.bin', size: 10 },
    { name: 'b.bin', size: 10 },
  ])

  const url = `${site.network.url}/files`
  expect(await call(page, 'send', url)).toEqual({
    code: 'connection-lost',
    message: expect.stringContaining('or the server lets no page of this origin in'),
  })
  expect(await call(page, 'list')).toEqual(['a.bin', 'b.bin'])
  expect((await report(page)).errors).toEqual(['a.bin connection-lost'])

  // What waits for the end of a pause can be stopped.
  await call(page, 'pause')
  await call(page, 'start', url)
  expect(await call(page, 'stop')).toEqual({})
  await expect(call(page, 'start', 'http://')).rejects.toThrow('Cannot')
  await page.close()
})

test('a file that is gone, or has changed, since it was chosen is not sent as something else', async () => {
  await using site = await PageSite.open(script)
  await using folder = await TempDir.create()
  const page = await openPage(site.page.origin)
  const options = { protocol: 'tus', keys: [KEY] } as const
  await call(page, 'open', options)
  await page.setContent('<input type="file">')
  const refused = { code: 'source-changed', message: expect.stringMatching(/or is gone$/) }

  for (const now of [undefined, 'short', '']) {
    const path = await folder.write('file.bin', 'content')
    await page.setInputFiles('input', path)
    await folder.remove('file.bin')
    if (now !== undefined) {
      await folder.write('file.bin', now)
      // The browser goes by whole seconds.
      await utimes(path, Date.now() / 1000, Date.now() / 1000 + 10)
    }

    expect(await call(page, 'addChosen')).toEqual(refused)
    expect(await call(page, 'uploadChosen', `${site.network.url}/files`, options)).toEqual(refused)
  }

  expect(await call(page, 'list')).toEqual([])
  expect(await site.files()).toEqual([])
  await page.close()
})

/** Within a page. */
declare const sendingPage: SendingPage

/** Calls what a page offers. */
async function call<Name extends keyof SendingPage>(
  page: Page,
  name: Name,
  ...args: Parameters<SendingPage[Name]>
): Promise<Awaited<ReturnType<SendingPage[Name]>>> {
  return (await page.evaluate(
    ([method, given]) => {
      const calls = sendingPage as unknown as Record<string, (...all: unknown[]) => unknown>
      return calls[method]?.(...given)
    },
    [name, args] as [string, unknown[]],
  )) as Awaited<ReturnType<SendingPage[Name]>>
}

function report(page: Page): Promise<PageReport> {
  return call(page, 'report')
}

async function openPage(origin: string, within = browser, quotaBytes?: number): Promise<Page> {
  const page = await within.openPage(origin, quotaBytes)
  await page.waitForFunction('globalThis.sendingPage !== undefined')
  return page
}

/** Every connection stops in the middle: what has been sent so far has arrived. */
function stalls(count = MANY): { afterBytes: number; lose: 'stall' }[] {
  return Array.from({ length: count }, () => ({ afterBytes: 1.2 * MB, lose: 'stall' }))
}

/** Connections that were open are gone; those that come stop no more. */
function heal({ network }: PageSite): void {
  network.faults.length = 0
  network.cut()
}

/** Sends a file up to a point at which nothing goes on. */
async function sendHalf(
  { network }: PageSite,
  page: Page,
  { url, protocol }: { readonly url: string; readonly protocol?: 'indexedcp' | 'tus' | 'ietf' },
): Promise<{ readonly id: string; readonly sent: Promise<unknown> }> {
  network.faults.push(...stalls())
  await call(page, 'open', {
    keys: [KEY],
    chunkBytes: MB / 4,
    ...(protocol === undefined ? {} : { protocol }),
  })
  const { value: [id = ''] = [] } = await call(page, 'add', [{ name: 'file.bin', size: SIZE }])
  const sent = call(page, 'send', url)
  sent.catch(() => {})
  await expect.poll(async () => (await report(page)).acknowledged['file.bin']).toBeGreaterThan(0)
  return { id, sent }
}

async function expectArrived(
  site: PageSite,
  sizes: Readonly<Record<string, number>>,
): Promise<void> {
  expect(await site.files()).toEqual(Object.keys(sizes).sort())
  for (const [name, size] of Object.entries(sizes)) {
    expect(await site.dir.digest(name)).toBe(digestOfSize(size))
  }
}

function digestOfSize(size: number): string {
  return digestOf(Buffer.from(numberedBytes(size)))
}

function portOf(url: string): number {
  return Number(new URL(url).port)
}

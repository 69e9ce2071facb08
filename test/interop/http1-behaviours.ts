/**
 * What HTTP/1.1 clients and servers do with each other, one behaviour a row. Each runs against every
 * server of http1-matrix.test.ts, with a pool of its own that must be clean afterwards.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { type ConnectionPool, fileContent, HttpRequest, type HttpResponse } from 'ferry/transport'
import { expect } from 'vitest'
import type { CountingBackend } from '../support/counting-backend.ts'
import { MemoryWatch } from '../support/memory-watch.ts'
import { LATE_CONTINUE_MS, type Receipt } from '../support/node-origin-api.ts'
import type { OriginServer, Scheme } from '../support/origin-server.ts'
import { BIG_SIZE, bigBlocks, type Site, SMALL_TEXT } from '../support/site.ts'
import { digestOf } from '../support/temp-dir.ts'

/** What a behaviour is shown with. */
export interface Visit {
  readonly server: OriginServer
  readonly site: Site
  readonly scheme: Scheme
  readonly pool: ConnectionPool
  /** Of the pool. */
  readonly backend: CountingBackend
  readonly url: (path: string) => string
}

/** A row of the table. */
export interface Behaviour {
  readonly name: string
  readonly show: (visit: Visit) => Promise<void>
}

// Blocks in flight, the socket's buffer, and some; far below the size of the big file.
const HELD_BYTES_LIMIT = 16_777_216
const LOOKS = 8
const RELOADS = 2
const RELOAD_INTERVAL_MS = 250
const LOAD_CONCURRENCY = 4
/** The pool's default: when content is sent without a 100. */
const CONTINUE_TIMEOUT_MS = 1000
const PIECE = Buffer.alloc(65_536, 'ferry ')

/** Every behaviour, by an id that servers name for what they cannot do. */
export const BEHAVIOURS = {
  get: { name: 'GET gives status, fields and content', show: showGet },
  head: { name: 'HEAD has a length but no content, and keeps the connection', show: showHead },
  'post-length': { name: 'POST with a known length arrives whole', show: showPostLength },
  'post-empty': { name: 'POST without content says so', show: showPostEmpty },
  'post-chunked': { name: 'POST of unknown length arrives whole', show: showPostChunked },
  chunked: { name: 'content in chunks arrives whole', show: showChunks },
  'big-download': { name: 'a big file is not held in memory', show: showBigDownload },
  'big-upload': { name: 'big content is sent without being held in memory', show: showBigUpload },
  'big-chunked': {
    name: 'big content of unknown length is sent without being held in memory',
    show: showBigChunkedUpload,
  },
  'big-file': { name: 'a file is sent as content', show: showBigFile },
  'slow-server': { name: 'an upload waits for a server that does not read', show: showSlowServer },
  'abort-connect': { name: 'abort before the connection stands', show: showAbortConnect },
  'abort-head': { name: 'abort while waiting for the head', show: showAbortHead },
  'abort-body': { name: 'abort within the content', show: showAbortBody },
  'abort-upload': { name: 'abort while uploading', show: showAbortUpload },
  reuse: { name: '20 requests one after another take one connection', show: showReuse },
  limit: { name: '32 requests at once take no more connections than allowed', show: showLimit },
  reload: { name: 'a reload under load fails no idempotent request', show: showReload },
  '304': { name: '304 has no content, and keeps the connection', show: showNotModified },
  '204': { name: '204 has no content, and keeps the connection', show: showNoContent },
  hints: { name: '103 goes before the response', show: showHints },
  trailers: { name: 'trailers of a response', show: showTrailers },
  'sent-trailers': { name: 'trailers of a request', show: showSentTrailers },
  continue: { name: 'content is sent after 100 (Continue)', show: showContinue },
  'late-continue': { name: 'content waits for a late 100 (Continue)', show: showLateContinue },
  refusal: { name: 'content that is refused is not sent', show: showRefusal },
  upgrade: { name: 'an upgraded connection is a stream', show: showUpgrade },
} as const satisfies Readonly<Record<string, Behaviour>>

export type BehaviourId = keyof typeof BEHAVIOURS

/** Expects that no exchange is left in the pool; idle connections may stay. */
export async function expectAtRest(pool: ConnectionPool): Promise<void> {
  await expect
    .poll(() => pool.toString(), { interval: 10, timeout: 5000 })
    .toMatch(/^(empty|\S+ active 0 idle \d+ connecting 0 waiting 0)$/)
}

async function showGet({ pool, url }: Visit): Promise<void> {
  const response = await pool.request(new HttpRequest('GET', url('/small.txt')))

  expect(response.status).toBe(200)
  expect(response.headers.get('Content-Length')).toBe(String(SMALL_TEXT.length))
  expect(await textOf(response)).toBe(SMALL_TEXT)
}

async function showHead({ pool, backend, url }: Visit): Promise<void> {
  const response = await pool.request(new HttpRequest('HEAD', url('/small.txt')))

  expect(response.status).toBe(200)
  expect(response.body.length).toBe(SMALL_TEXT.length)
  expect(await textOf(response)).toBe('')
  await expectConnectionKept(pool, backend, url)
}

async function showPostLength({ pool, url }: Visit): Promise<void> {
  const response = await pool.request(new HttpRequest('POST', url('/sink'), { content: 'hello' }))

  const receipt = await receiptOf(response)
  expect(receipt).toMatchObject({
    method: 'POST',
    length: 5,
    sha256: digestOf(Buffer.from('hello')),
  })
  expect(receipt.headers['content-length']).toBe('5')
}

async function showPostEmpty({ pool, url }: Visit): Promise<void> {
  const response = await pool.request(new HttpRequest('POST', url('/sink')))

  expect(await receiptOf(response)).toMatchObject({ method: 'POST', length: 0 })
}

async function showPostChunked({ pool, url }: Visit): Promise<void> {
  const pieces = ['one ', '', 'two ', 'three'].map((text) => Buffer.from(text))
  const content = { replayable: true, open: () => piecesOf(pieces) }

  const response = await pool.request(new HttpRequest('POST', url('/sink'), { content }))

  expect(await receiptOf(response)).toMatchObject({
    length: 13,
    sha256: digestOf(Buffer.concat(pieces)),
  })
}

async function showChunks({ pool, backend, url }: Visit): Promise<void> {
  const response = await pool.request(new HttpRequest('GET', url('/chunked')))

  expect(await textOf(response)).toBe('one two three')
  await expectConnectionKept(pool, backend, url)
}

async function showBigDownload({ pool, site, url }: Visit): Promise<void> {
  const watch = new MemoryWatch()
  const digest = createHash('sha256')
  let length = 0

  const response = await pool.request(new HttpRequest('GET', url('/big.bin')))
  await response.body.pipe({
    write: (bytes) => {
      digest.update(bytes)
      lookEvery(watch, length, bytes.length)
      length += bytes.length
      return true
    },
  })

  expect(length).toBe(BIG_SIZE)
  expect(digest.digest('hex')).toBe(site.bigDigest)
  expect(watch.peakBytes).toBeLessThan(HELD_BYTES_LIMIT)
}

function showBigUpload(visit: Visit): Promise<void> {
  return showBigContent(visit, BIG_SIZE)
}

function showBigChunkedUpload(visit: Visit): Promise<void> {
  return showBigContent(visit, undefined)
}

async function showBigContent({ pool, url }: Visit, length: number | undefined): Promise<void> {
  const watch = new MemoryWatch()
  const digest = createHash('sha256')
  async function* open(): AsyncGenerator<Uint8Array> {
    let sent = 0
    for (const block of bigBlocks(262_144)) {
      digest.update(block)
      // The event loop must go round, as with any real source.
      await nextTurn()
      yield block
      lookEvery(watch, sent, block.length)
      sent += block.length
    }
  }
  const content = { replayable: false, open, ...(length === undefined ? {} : { length }) }

  const response = await pool.request(new HttpRequest('PUT', url('/sink'), { content }))

  expect(await receiptOf(response)).toMatchObject({
    length: BIG_SIZE,
    sha256: digest.digest('hex'),
  })
  expect(watch.peakBytes).toBeLessThan(HELD_BYTES_LIMIT)
}

async function showBigFile({ pool, site, url }: Visit): Promise<void> {
  const content = await fileContent(join(site.root, 'big.bin'))

  const response = await pool.request(new HttpRequest('PUT', url('/sink'), { content }))

  expect(await receiptOf(response)).toMatchObject({
    length: BIG_SIZE,
    sha256: site.bigDigest,
    headers: { 'content-length': String(BIG_SIZE) },
  })
}

async function showSlowServer({ pool, url }: Visit): Promise<void> {
  const watch = new MemoryWatch()
  const upload = startEndlessUpload({ pool, url })

  // The kernel and the server take some; how much is their affair.
  await upload.standsStill()
  watch.look()

  expect(watch.peakBytes).toBeLessThan(HELD_BYTES_LIMIT)
  upload.abort(new Error('enough'))
  await expect(upload.outcome).rejects.toThrow('enough')
}

async function showAbortConnect({ pool, url }: Visit): Promise<void> {
  const abort = new AbortController()
  const outcome = pool.request(new HttpRequest('GET', url('/small.txt')), { signal: abort.signal })

  abort.abort(new Error('enough'))

  await expect(outcome).rejects.toThrow('enough')
}

async function showAbortHead({ pool, url }: Visit): Promise<void> {
  const abort = new AbortController()
  const outcome = pool.request(new HttpRequest('GET', url('/stall')), { signal: abort.signal })
  await expect.poll(() => pool.toString(), { interval: 5 }).toContain('active 1')

  abort.abort(new Error('enough'))

  await expect(outcome).rejects.toThrow('enough')
}

async function showAbortBody({ pool, url }: Visit): Promise<void> {
  const abort = new AbortController()
  const request = new HttpRequest('GET', url('/big.bin'))
  const response = await pool.request(request, { signal: abort.signal })
  let chunks = 0

  const outcome = (async () => {
    for await (const _bytes of response.body) {
      if (++chunks === 3) abort.abort(new Error('enough'))
    }
  })()

  await expect(outcome).rejects.toThrow('enough')
}

async function showAbortUpload({ pool, url }: Visit): Promise<void> {
  const upload = startEndlessUpload({ pool, url, path: '/sink' })
  await expect.poll(() => upload.sentBytes, { interval: 5 }).toBeGreaterThan(10 * PIECE.length)

  upload.abort(new Error('enough'))

  await expect(upload.outcome).rejects.toThrow('enough')
  await expect.poll(() => upload.closed, { interval: 5 }).toBe(true)
}

async function showReuse({ pool, backend, url }: Visit): Promise<void> {
  for (let index = 0; index < 20; index++) {
    const response = await pool.request(new HttpRequest('GET', url('/small.txt')))
    expect(await textOf(response)).toBe(SMALL_TEXT)
  }

  expect(backend.opened).toBe(1)
  expect(pool.metrics()).toMatchObject({ created: 1, reused: 19 })
}

async function showLimit({ pool, backend, url }: Visit): Promise<void> {
  const texts = await Promise.all(
    Array.from({ length: 32 }, async () => {
      return textOf(await pool.request(new HttpRequest('GET', url('/small.txt'))))
    }),
  )

  expect(new Set(texts)).toEqual(new Set([SMALL_TEXT]))
  expect(backend.opened).toBeLessThanOrEqual(LOAD_CONCURRENCY)
}

async function showReload({ pool, server, url }: Visit): Promise<void> {
  const load = startLoad(pool, [
    new HttpRequest('GET', url('/small.txt')),
    new HttpRequest('HEAD', url('/small.txt')),
    new HttpRequest('GET', url('/chunked')),
    new HttpRequest('PUT', url('/sink'), { content: 'hello' }),
  ])

  try {
    for (let reload = 0; reload < RELOADS; reload++) {
      await sleep(RELOAD_INTERVAL_MS)
      await server.reload()
    }
    await sleep(RELOAD_INTERVAL_MS)
    await expect.poll(() => load.answers, { timeout: 20_000 }).toBeGreaterThan(100)
  } finally {
    await load.stop()
  }

  expect(load.failures).toEqual([])
}

async function showNotModified({ pool, backend, url }: Visit): Promise<void> {
  const first = await pool.request(new HttpRequest('GET', url('/small.txt')))
  await first.body.bytes()
  const modified = first.headers.get('Last-Modified') ?? ''
  const headers = { 'If-Modified-Since': modified }

  const response = await pool.request(new HttpRequest('GET', url('/small.txt'), { headers }))

  expect(response.status).toBe(304)
  expect(await textOf(response)).toBe('')
  await expectConnectionKept(pool, backend, url)
}

async function showNoContent({ pool, backend, url }: Visit): Promise<void> {
  const response = await pool.request(new HttpRequest('GET', url('/status/204')))

  expect(response.status).toBe(204)
  expect(await textOf(response)).toBe('')
  await expectConnectionKept(pool, backend, url)
}

async function showHints({ pool, url }: Visit): Promise<void> {
  const events: string[] = []
  await new Promise<void>((resolve, reject) => {
    pool.dispatch(new HttpRequest('GET', url('/hints')), {
      onInformation: ({ status, headers }) => {
        events.push(`${status} ${headers.get('Link')}`)
      },
      onHead: ({ status }) => {
        events.push(String(status))
      },
      onContent: (bytes) => events.push(bytes.toString()) > 0,
      onComplete: () => resolve(),
      onError: reject,
    })
  })

  expect(events).toEqual(['103 </style.css>; rel=preload; as=style', '200', 'ok'])
}

async function showTrailers({ pool, backend, url }: Visit): Promise<void> {
  const response = await pool.request(new HttpRequest('GET', url('/trailers')))
  await response.body.bytes()

  expect(response.body.trailers.get('X-Sum')).toBe('abc')
  await expectConnectionKept(pool, backend, url)
}

async function showSentTrailers({ pool, url }: Visit): Promise<void> {
  const content = { replayable: true, open: () => piecesOf([PIECE, PIECE]) }
  const trailers = () => ({ 'X-Sum': 'abc' })
  const headers = { Trailer: 'X-Sum' }

  const request = new HttpRequest('POST', url('/sink'), { headers, content, trailers })
  const response = await pool.request(request)

  expect(await receiptOf(response)).toMatchObject({
    length: 2 * PIECE.length,
    trailers: { 'x-sum': 'abc' },
  })
}

async function showContinue({ pool, url }: Visit): Promise<void> {
  const { statuses, openedAfterMs, receipt } = await sendExpecting(pool, url('/sink'))

  // A proxy may send a 100 of its own and pass on that of the server behind it.
  expect([...new Set(statuses)]).toEqual([100, 200])
  expect(openedAfterMs).toBeLessThan(CONTINUE_TIMEOUT_MS)
  expect(receipt).toMatchObject({ length: PIECE.length })
}

async function showLateContinue({ pool, url }: Visit): Promise<void> {
  const { statuses, openedAfterMs, receipt } = await sendExpecting(pool, url('/late'))

  expect(statuses).toEqual([100, 200])
  // Timers may be a millisecond early.
  expect(openedAfterMs).toBeGreaterThanOrEqual(LATE_CONTINUE_MS - 1)
  expect(openedAfterMs).toBeLessThan(CONTINUE_TIMEOUT_MS)
  expect(receipt).toMatchObject({ length: PIECE.length })
}

async function showRefusal({ pool, url }: Visit): Promise<void> {
  let opened = false
  const headers = { Expect: '100-continue' }
  const open = (): AsyncIterable<Uint8Array> => {
    opened = true
    return piecesOf([PIECE])
  }
  const content = { length: PIECE.length, replayable: true, open }

  const response = await pool.request(
    new HttpRequest('POST', url('/refused'), { headers, content }),
  )
  await response.body.bytes()

  // 413 is the refusal of a server that goes by the length alone.
  expect([413, 417]).toContain(response.status)
  expect(opened).toBe(false)
}

async function showUpgrade({ pool, url }: Visit): Promise<void> {
  const headers = { Connection: 'Upgrade', Upgrade: 'echo' }

  const outcome = await pool.upgrade(new HttpRequest('GET', url('/echo'), { headers }))

  if (outcome.type !== 'upgraded') throw new Error(`refused with ${outcome.response.status}`)
  const { stream } = outcome
  const echoed = new Promise<string>((resolve, reject) => {
    stream.read({
      onBytes: (bytes) => resolve(bytes.toString()),
      onEnd: () => reject(new Error('The stream has ended')),
      onError: reject,
      nextBuffer: () => undefined,
    })
  })
  stream.write('hello')
  expect(await echoed).toBe('hello')
  stream.close()
}

async function expectConnectionKept(
  pool: ConnectionPool,
  backend: CountingBackend,
  url: Visit['url'],
): Promise<void> {
  const next = await pool.request(new HttpRequest('GET', url('/small.txt')))
  expect(await textOf(next)).toBe(SMALL_TEXT)
  expect(backend.opened).toBe(1)
}

/** Posts content that waits for 100, and tells when it was asked for. */
async function sendExpecting(
  pool: ConnectionPool,
  url: string,
): Promise<{ statuses: number[]; openedAfterMs: number; receipt: unknown }> {
  const startedAt = performance.now()
  const statuses: number[] = []
  const answer: Buffer[] = []
  let openedAfterMs = 0
  const open = (): AsyncIterable<Uint8Array> => {
    openedAfterMs = performance.now() - startedAt
    return piecesOf([PIECE])
  }
  const request = new HttpRequest('POST', url, {
    headers: { Expect: '100-continue' },
    content: { length: PIECE.length, replayable: true, open },
  })
  await new Promise<void>((resolve, reject) => {
    pool.dispatch(request, {
      onInformation: ({ status }) => void statuses.push(status),
      onHead: ({ status }) => void statuses.push(status),
      onContent: (bytes) => answer.push(Buffer.from(bytes)) > 0,
      onComplete: () => resolve(),
      onError: reject,
    })
  })
  return { statuses, openedAfterMs, receipt: JSON.parse(Buffer.concat(answer).toString()) }
}

interface EndlessUpload {
  readonly outcome: Promise<HttpResponse>
  /** Bytes that were taken from the source. */
  readonly sentBytes: number
  /** Whether the source was told that no more is wanted. */
  readonly closed: boolean
  abort(reason: Error): void
  /** Resolves once nothing is taken any more. */
  standsStill(): Promise<void>
}

function startEndlessUpload(options: {
  pool: ConnectionPool
  url: Visit['url']
  path?: string
}): EndlessUpload {
  const { pool, url, path = '/stall' } = options
  const abort = new AbortController()
  let sentBytes = 0
  let closed = false
  async function* open(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        await nextTurn()
        sentBytes += PIECE.length
        yield Buffer.alloc(PIECE.length)
      }
    } finally {
      closed = true
    }
  }
  const request = new HttpRequest('POST', url(path), { content: { replayable: false, open } })
  return {
    outcome: pool.request(request, { signal: abort.signal }),
    get sentBytes() {
      return sentBytes
    },
    get closed() {
      return closed
    },
    abort: (reason) => abort.abort(reason),
    standsStill: async () => {
      for (let before = -1; before !== sentBytes || sentBytes === 0;) {
        before = sentBytes
        await sleep(100)
      }
    },
  }
}

interface Load {
  readonly failures: readonly string[]
  readonly answers: number
  stop(): Promise<void>
}

/** Sends each request over and over, one after another. */
/**
 * A server that reloads may close a connection that it has just taken. The pool sends again what a kept
 * connection lost; after a new one that is the caller's affair, who here does so once.
 */
function startLoad(pool: ConnectionPool, requests: readonly HttpRequest[]): Load {
  const failures: string[] = []
  let answers = 0
  let running = true
  const repeat = async (request: HttpRequest): Promise<void> => {
    let wasCut = false
    while (running) {
      try {
        const response = await pool.request(request)
        await response.body.bytes()
        wasCut = false
        if (response.status === 200) answers++
        // A server that gives up its own connection to the one behind it says 502: an answer.
        else if (response.status !== 502) failures.push(`${request.method} ${response.status}`)
      } catch (error) {
        const isCut = String(error).includes('the server closed the connection before the response')
        if (!isCut || wasCut)
          failures.push(`${request.method} ${request.url.label}: ${String(error)}`)
        wasCut = isCut
      }
    }
  }
  const loops = requests.map(repeat)
  return {
    failures,
    get answers() {
      return answers
    },
    stop: async () => {
      running = false
      await Promise.all(loops)
    },
  }
}

/** Looks at the memory each time another part of the big file has gone by. */
function lookEvery(watch: MemoryWatch, before: number, added: number): void {
  const part = BIG_SIZE / LOOKS
  if (Math.floor(before / part) !== Math.floor((before + added) / part)) watch.look()
}

async function* piecesOf(pieces: readonly Buffer[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    await sleep(1)
    yield piece
  }
}

async function textOf(response: HttpResponse): Promise<string> {
  return (await response.body.bytes()).toString()
}

async function receiptOf(response: HttpResponse): Promise<Receipt> {
  expect(response.status).toBe(200)
  return JSON.parse(await textOf(response)) as Receipt
}

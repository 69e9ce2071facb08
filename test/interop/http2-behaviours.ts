/**
 * What HTTP/2 clients and servers do with each other, one behaviour a row. Each runs against every
 * server of http2-matrix.test.ts, with a pool of its own that may have one connection only and must
 * be clean afterwards.
 */
import { createHash, randomFillSync } from 'node:crypto'
import { join } from 'node:path'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { type ConnectionPool, fileContent, HttpRequest, type HttpResponse } from 'ferry/transport'
import { expect } from 'vitest'
import type { CountingBackend } from '../support/counting-backend.ts'
import { MEDIUM_SIZE } from '../support/http2-site.ts'
import { MemoryWatch } from '../support/memory-watch.ts'
import { FIELD_LENGTH, LATE_CONTINUE_MS, type Receipt } from '../support/node-origin-api.ts'
import { BIG_SIZE, type Site, SMALL_TEXT } from '../support/site.ts'
import { digestOf } from '../support/temp-dir.ts'

/** What a behaviour is shown with. */
export interface Http2Visit {
  readonly site: Site
  readonly mediumDigest: string
  readonly pool: ConnectionPool
  /** Of the pool. */
  readonly backend: CountingBackend
  readonly url: (path: string) => string
  /** What a server does with content that it is sent: tell of it, or send it back. */
  readonly uploads: 'receipt' | 'echo'
}

/** A row of the table. */
export interface Http2Behaviour {
  readonly name: string
  readonly show: (visit: Http2Visit) => Promise<void>
}

const BIG = process.env['FERRY_BIG'] === '1'
/** What is carried in bulk: 10 MiB, or 1 GiB with FERRY_BIG=1. */
const BULK_PATH = BIG ? '/big.bin' : '/medium.bin'
const BULK_SIZE = BIG ? BIG_SIZE : MEDIUM_SIZE
const BLOCK_BYTES = 262_144
// Windows, the socket's buffer, and some; far below the size of the big file.
const HELD_BYTES_LIMIT = 16_777_216
const BURST = 1000
/** More than a few windows of a connection of the least size, 65,535 bytes. */
const CANCELLED = 40
const UPLOADS_AT_ONCE = 8
const COOKIES = 150
/** The pool's default: when content is sent without a 100. */
const CONTINUE_TIMEOUT_MS = 1000
const PIECE = Buffer.alloc(65_536, 'ferry ')
const ENOUGH = new Error('enough')

/** Every behaviour, by an id that servers name for what they cannot do. */
export const HTTP2_BEHAVIOURS = {
  get: { name: 'GET gives status, fields and content', show: showGet },
  empty: { name: 'GET of nothing ends at once', show: showEmpty },
  head: { name: 'HEAD has a length but no content', show: showHead },
  '204': { name: '204 has no content', show: showNoContent },
  '304': { name: '304 has no content', show: showNotModified },
  download: { name: 'bulk content arrives whole and is not held', show: showDownload },
  post: { name: 'POST with a known length arrives whole', show: showPost },
  'post-empty': { name: 'POST without content arrives', show: showPostEmpty },
  'post-unknown': { name: 'POST of unknown length arrives whole', show: showPostUnknown },
  upload: { name: 'a file is sent as content', show: showUpload },
  'upload-unknown': {
    name: 'bulk content of unknown length is sent without being held',
    show: showUploadUnknown,
  },
  'uploads-at-once': { name: 'uploads share the connection', show: showUploadsAtOnce },
  trailers: { name: 'trailers of a response', show: showTrailers },
  'sent-trailers': { name: 'trailers of a request', show: showSentTrailers },
  hints: { name: '103 goes before the response', show: showHints },
  continue: { name: 'content is sent after 100 (Continue)', show: showContinue },
  'late-continue': { name: 'content waits for a late 100 (Continue)', show: showLateContinue },
  refusal: { name: 'content that is refused is not sent', show: showRefusal },
  reuse: { name: 'requests one after another take one connection', show: showReuse },
  burst: { name: '1,000 requests at once are answered over one connection', show: showBurst },
  'abort-head': { name: 'abort while waiting for the head', show: showAbortHead },
  'abort-taken': { name: 'abort after the head', show: showAbortTaken },
  'abort-body': { name: 'abort within the content', show: showAbortBody },
  'abort-upload': { name: 'abort while uploading', show: showAbortUpload },
  cancel: { name: 'cancelled content does not use up the connection', show: showCancel },
  'slow-reader': { name: 'who reads slowly holds up nobody else', show: showSlowReader },
  cookies: { name: 'many cookies arrive as one field', show: showCookies },
  'sent-fields': { name: 'fields of more than one frame are sent', show: showSentFields },
  fields: { name: 'fields of more than one frame arrive', show: showFields },
} as const satisfies Readonly<Record<string, Http2Behaviour>>

export type Http2BehaviourId = keyof typeof HTTP2_BEHAVIOURS

async function showGet({ pool, url }: Http2Visit): Promise<void> {
  const response = await pool.request(new HttpRequest('GET', url('/small.txt')))

  expect(response).toMatchObject({ status: 200, statusText: '', version: '2' })
  expect(response.headers.get('Content-Length')).toBe(String(SMALL_TEXT.length))
  expect(await textOf(response)).toBe(SMALL_TEXT)
}

async function showEmpty({ pool, url }: Http2Visit): Promise<void> {
  const response = await pool.request(new HttpRequest('GET', url('/empty.txt')))

  expect(response.status).toBe(200)
  expect(await textOf(response)).toBe('')
}

async function showHead({ pool, url }: Http2Visit): Promise<void> {
  const response = await pool.request(new HttpRequest('HEAD', url('/small.txt')))

  expect(response.status).toBe(200)
  expect(response.body.length).toBe(SMALL_TEXT.length)
  expect(await textOf(response)).toBe('')
}

async function showNoContent({ pool, url }: Http2Visit): Promise<void> {
  const response = await pool.request(new HttpRequest('GET', url('/status/204')))

  expect(response.status).toBe(204)
  expect(await textOf(response)).toBe('')
}

async function showNotModified({ pool, url }: Http2Visit): Promise<void> {
  const first = await pool.request(new HttpRequest('GET', url('/small.txt')))
  await first.body.bytes()
  const modified = first.headers.get('Last-Modified') ?? ''
  const headers = { 'If-Modified-Since': modified }

  const response = await pool.request(new HttpRequest('GET', url('/small.txt'), { headers }))

  expect(response.status).toBe(304)
  expect(await textOf(response)).toBe('')
}

async function showDownload({ pool, site, mediumDigest, url }: Http2Visit): Promise<void> {
  const watch = new MemoryWatch()
  const digest = createHash('sha256')
  let length = 0

  const response = await pool.request(new HttpRequest('GET', url(BULK_PATH)))
  await response.body.pipe({
    write: (bytes) => {
      digest.update(bytes)
      if (crosses(length, bytes.length)) watch.look()
      length += bytes.length
      return true
    },
  })

  expect(length).toBe(BULK_SIZE)
  expect(digest.digest('hex')).toBe(BIG ? site.bigDigest : mediumDigest)
  expect(watch.peakBytes).toBeLessThan(HELD_BYTES_LIMIT)
}

async function showPost(visit: Http2Visit): Promise<void> {
  const request = new HttpRequest('POST', visit.url('/sink'), { content: 'hello' })

  expect(await send(visit, request)).toMatchObject({
    length: 5,
    sha256: digestOf(Buffer.from('hello')),
  })
}

async function showPostEmpty(visit: Http2Visit): Promise<void> {
  const request = new HttpRequest('POST', visit.url('/sink'))

  expect(await send(visit, request)).toMatchObject({ length: 0 })
}

async function showPostUnknown(visit: Http2Visit): Promise<void> {
  const pieces = ['one ', '', 'two ', 'three'].map((text) => Buffer.from(text))
  const content = { replayable: true, open: () => piecesOf(pieces) }
  const request = new HttpRequest('POST', visit.url('/sink'), { content })

  expect(await send(visit, request)).toMatchObject({
    length: 13,
    sha256: digestOf(Buffer.concat(pieces)),
  })
}

async function showUpload(visit: Http2Visit): Promise<void> {
  const content = await fileContent(join(visit.site.root, BULK_PATH))
  const request = new HttpRequest('PUT', visit.url('/sink'), { content })

  expect(await send(visit, request)).toMatchObject({
    length: BULK_SIZE,
    sha256: BIG ? visit.site.bigDigest : visit.mediumDigest,
  })
}

async function showUploadUnknown(visit: Http2Visit): Promise<void> {
  const watch = new MemoryWatch()
  const digest = createHash('sha256')
  async function* open(): AsyncGenerator<Uint8Array> {
    for (let sent = 0; sent < BULK_SIZE; sent += BLOCK_BYTES) {
      const block = randomFillSync(Buffer.allocUnsafeSlow(BLOCK_BYTES))
      digest.update(block)
      // The event loop must go round, as with any real source.
      await nextTurn()
      yield block
      if (crosses(sent, BLOCK_BYTES)) watch.look()
    }
  }
  const request = new HttpRequest('PUT', visit.url('/sink'), {
    content: { replayable: false, open },
  })

  const receipt = await send(visit, request)

  expect(receipt).toMatchObject({ length: BULK_SIZE, sha256: digest.digest('hex') })
  expect(watch.peakBytes).toBeLessThan(HELD_BYTES_LIMIT)
}

async function showUploadsAtOnce(visit: Http2Visit): Promise<void> {
  const contents = Array.from({ length: UPLOADS_AT_ONCE }, () => {
    return randomFillSync(Buffer.allocUnsafeSlow(4 * BLOCK_BYTES))
  })

  const receipts = await Promise.all(
    contents.map((content) => send(visit, new HttpRequest('PUT', visit.url('/sink'), { content }))),
  )

  expect(receipts.map(({ sha256 }) => sha256)).toEqual(contents.map(digestOf))
  expect(visit.backend.opened).toBe(1)
}

async function showTrailers({ pool, url, uploads }: Http2Visit): Promise<void> {
  // Who sends content back has a trailer after any content.
  const path = uploads === 'echo' ? '/small.txt' : '/trailers'
  const response = await pool.request(new HttpRequest('GET', url(path)))
  await response.body.bytes()

  expect(response.body.trailers.get('X-Sum')).toBe('abc')
}

async function showSentTrailers(visit: Http2Visit): Promise<void> {
  const content = { replayable: true, open: () => piecesOf([PIECE, PIECE]) }
  const trailers = () => ({ 'X-Sum': 'abc' })
  const headers = { Trailer: 'X-Sum' }
  const request = new HttpRequest('POST', visit.url('/sink'), { headers, content, trailers })

  expect(await send(visit, request)).toMatchObject({
    length: 2 * PIECE.length,
    trailers: { 'x-sum': 'abc' },
  })
}

async function showHints({ pool, url }: Http2Visit): Promise<void> {
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

async function showContinue(visit: Http2Visit): Promise<void> {
  const { statuses, openedAfterMs, receipt } = await sendExpecting(visit, '/sink')

  // A proxy may send a 100 of its own and pass on that of the server behind it.
  expect([...new Set(statuses)]).toEqual([100, 200])
  expect(openedAfterMs).toBeLessThan(CONTINUE_TIMEOUT_MS)
  expect(receipt).toMatchObject({ length: PIECE.length })
}

async function showLateContinue(visit: Http2Visit): Promise<void> {
  const { statuses, openedAfterMs, receipt } = await sendExpecting(visit, '/late')

  expect(statuses).toEqual([100, 200])
  // Timers may be a millisecond early.
  expect(openedAfterMs).toBeGreaterThanOrEqual(LATE_CONTINUE_MS - 1)
  expect(openedAfterMs).toBeLessThan(CONTINUE_TIMEOUT_MS)
  expect(receipt).toMatchObject({ length: PIECE.length })
}

async function showRefusal({ pool, backend, url }: Http2Visit): Promise<void> {
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
  await expectGoesOn({ pool, backend, url })
}

async function showReuse({ pool, backend, url }: Http2Visit): Promise<void> {
  for (let index = 0; index < 20; index++) {
    const response = await pool.request(new HttpRequest('GET', url('/small.txt')))
    expect(await textOf(response)).toBe(SMALL_TEXT)
  }

  expect(backend.opened).toBe(1)
  expect(pool.metrics()).toMatchObject({ created: 1, reused: 19 })
}

async function showBurst({ pool, backend, url }: Http2Visit): Promise<void> {
  const texts = await Promise.all(
    Array.from({ length: BURST }, async () => {
      return textOf(await pool.request(new HttpRequest('GET', url('/small.txt'))))
    }),
  )

  expect(new Set(texts)).toEqual(new Set([SMALL_TEXT]))
  expect(texts.length).toBe(BURST)
  expect(backend.opened).toBe(1)
}

async function showAbortHead({ pool, backend, url }: Http2Visit): Promise<void> {
  const abort = new AbortController()
  const outcome = pool.request(new HttpRequest('GET', url('/stall')), { signal: abort.signal })
  await expect.poll(() => pool.toString(), { interval: 5 }).toContain('active 1')

  abort.abort(ENOUGH)

  await expect(outcome).rejects.toBe(ENOUGH)
  await expectGoesOn({ pool, backend, url })
}

async function showAbortTaken({ pool, backend, url }: Http2Visit): Promise<void> {
  const abort = new AbortController()
  const request = new HttpRequest('GET', url('/big.bin'))
  const response = await pool.request(request, { signal: abort.signal })

  abort.abort(ENOUGH)

  await expect(response.body.bytes()).rejects.toBe(ENOUGH)
  await expectGoesOn({ pool, backend, url })
}

async function showAbortBody({ pool, backend, url }: Http2Visit): Promise<void> {
  const abort = new AbortController()
  const request = new HttpRequest('GET', url('/big.bin'))
  const response = await pool.request(request, { signal: abort.signal })
  let chunks = 0

  const outcome = (async () => {
    for await (const _bytes of response.body) {
      if (++chunks === 3) abort.abort(ENOUGH)
    }
  })()

  await expect(outcome).rejects.toBe(ENOUGH)
  await expectGoesOn({ pool, backend, url })
}

async function showAbortUpload({ pool, backend, url }: Http2Visit): Promise<void> {
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
  const request = new HttpRequest('POST', url('/sink'), { content: { replayable: false, open } })
  const outcome = pool.request(request, { signal: abort.signal })
  await expect.poll(() => sentBytes, { interval: 5 }).toBeGreaterThan(10 * PIECE.length)

  abort.abort(ENOUGH)

  await expect(outcome).rejects.toBe(ENOUGH)
  await expect.poll(() => closed, { interval: 5 }).toBe(true)
  await expectGoesOn({ pool, backend, url })
}

async function showCancel({ pool, backend, mediumDigest, url }: Http2Visit): Promise<void> {
  for (let index = 0; index < CANCELLED; index++) {
    const response = await pool.request(new HttpRequest('GET', url('/medium.bin')))
    response.body.cancel()
  }

  // What was still on its way has to be given back to the connection's window.
  const whole = await pool.request(new HttpRequest('GET', url('/medium.bin')))
  expect(digestOf(await whole.body.bytes())).toBe(mediumDigest)
  expect(backend.opened).toBe(1)
}

async function showSlowReader({ pool, backend, mediumDigest, url }: Http2Visit): Promise<void> {
  const watch = new MemoryWatch()
  const slow = await pool.request(new HttpRequest('GET', url('/big.bin')))
  const pieces = slow.body[Symbol.asyncIterator]()
  await pieces.next()

  const quick = await pool.request(new HttpRequest('GET', url('/medium.bin')))
  const digest = createHash('sha256')
  for await (const bytes of quick.body) digest.update(bytes)
  watch.look()

  expect(digest.digest('hex')).toBe(mediumDigest)
  expect(watch.peakBytes).toBeLessThan(HELD_BYTES_LIMIT)
  expect(backend.opened).toBe(1)
  await pieces.return?.()
}

async function showCookies(visit: Http2Visit): Promise<void> {
  const cookie = Array.from({ length: COOKIES }, (_, index) => `cookie-${index}=${index}`).join(
    '; ',
  )
  const headers = { Cookie: cookie }
  const request = new HttpRequest('POST', visit.url('/sink'), { headers, content: 'hello' })

  const receipt = await send(visit, request)

  // Sent as one or as many, the server joins them (RFC 9113 §8.2.3).
  expect(receipt.headers?.['cookie']).toBe(cookie)
}

async function showSentFields(visit: Http2Visit): Promise<void> {
  const long = Object.fromEntries(
    ['a', 'b', 'c', 'd'].map((letter) => [`x-long-${letter}`, letter.repeat(FIELD_LENGTH)]),
  )
  const short = Object.fromEntries(
    Array.from({ length: 50 }, (_, index) => [`x-short-${index}`, String(index)]),
  )
  const headers = { ...long, ...short }
  const request = new HttpRequest('POST', visit.url('/sink'), { headers, content: 'hello' })

  expect((await send(visit, request)).headers).toMatchObject(headers)
}

async function showFields({ pool, url }: Http2Visit): Promise<void> {
  const response = await pool.request(new HttpRequest('GET', url('/fields')))

  for (const letter of ['a', 'b', 'c', 'd']) {
    expect(response.headers.get(`X-Long-${letter}`)).toBe(letter.repeat(FIELD_LENGTH))
  }
  expect(await textOf(response)).toBe('ok')
}

/** What became of content that was sent. The fields are told by those that do not send it back. */
type Sent = Pick<Receipt, 'length' | 'sha256'> & Partial<Receipt>

async function send({ pool, uploads }: Http2Visit, request: HttpRequest): Promise<Sent> {
  return sentOf(await pool.request(request), uploads)
}

async function sentOf(response: HttpResponse, uploads: Http2Visit['uploads']): Promise<Sent> {
  expect(response).toMatchObject({ status: 200, version: '2' })
  if (uploads === 'receipt') return JSON.parse(await textOf(response)) as Receipt
  const digest = createHash('sha256')
  let length = 0
  for await (const bytes of response.body) {
    digest.update(bytes)
    length += bytes.length
  }
  return { length, sha256: digest.digest('hex') }
}

interface Expecting {
  readonly statuses: readonly number[]
  /** From the request to the moment when its content was asked for. */
  readonly openedAfterMs: number
  readonly receipt: Sent
}

async function sendExpecting(visit: Http2Visit, path: string): Promise<Expecting> {
  const statuses: number[] = []
  let openedAt = 0
  const open = (): AsyncIterable<Uint8Array> => {
    openedAt = performance.now()
    return piecesOf([PIECE])
  }
  const content = { length: PIECE.length, replayable: true, open }
  const headers = { Expect: '100-continue' }
  const request = new HttpRequest('POST', visit.url(path), { headers, content })
  const startedAt = performance.now()

  const response = await visit.pool.request(request, {
    onInformation: ({ status }) => statuses.push(status),
  })

  statuses.push(response.status)
  const receipt = await sentOf(response, visit.uploads)
  return { statuses, openedAfterMs: openedAt - startedAt, receipt }
}

/** Expects that the connection still serves others. */
async function expectGoesOn({
  pool,
  backend,
  url,
}: Pick<Http2Visit, 'pool' | 'backend' | 'url'>): Promise<void> {
  const response = await pool.request(new HttpRequest('GET', url('/small.txt')))
  expect(await textOf(response)).toBe(SMALL_TEXT)
  expect(backend.opened).toBe(1)
}

/** Whether another eighth of what is carried in bulk has gone by. */
function crosses(before: number, added: number): boolean {
  const part = BULK_SIZE / 8
  return Math.floor(before / part) !== Math.floor((before + added) / part)
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

/**
 * What one request of the soak may be: tables of scenarios with their weights, one for each version
 * of HTTP. Each resolves when the request went exactly as it must, and throws otherwise; how it may
 * end is part of it.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { isFerryError, type StreamError, type TimeoutError } from 'ferry/errors'
import { type ConnectionPool, HttpRequest } from 'ferry/transport'
import { FerryCollector } from './collect-handlers.ts'
import {
  expectContent,
  expectEcho,
  expectEqualBytes,
  expectFailure,
  expectSame,
} from './soak-checks.ts'
import { contentOf, digestOf } from './soak-content.ts'
import { createBytes, createStream, type Upload } from './soak-uploads.ts'

/** Where requests go. */
export interface SoakBed {
  readonly pool: ConnectionPool
  /** nginx; `/BYTES.bin` has as many bytes of the content. */
  readonly files: string
  /** A server that closes, resets and stalls, but never harms another request than the one it was asked by. */
  readonly rough: string
  /** The same one where it never closes a kept connection. */
  readonly steady: string
  /** The same one where a connection may break under requests that expect it. */
  readonly fragile: string
  /** Given to many requests, never aborted. */
  readonly sharedSignal: AbortSignal
}

/** One kind of request. */
export interface Scenario {
  /** How many of these to how many of others. */
  readonly weight: number
  readonly run: (bed: SoakBed) => Promise<void>
}

const SMALL_BYTES = 707
const LARGE_BYTES = 65_536
const HUGE_BYTES = 524_288
const MAX_ABORT_DELAY_MS = 25
/** A slow reader rests so long after each piece: some tenths of a second for all. */
const READER_PAUSE_MS = 5

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'get small': { weight: 250, run: (bed) => expectGet(bed, `${bed.files}/${SMALL_BYTES}.bin`) },
  'get 64 KiB': { weight: 100, run: (bed) => expectGet(bed, `${bed.files}/${LARGE_BYTES}.bin`) },
  'get by callback': { weight: 100, run: expectDispatch },
  'get with a shared signal': { weight: 60, run: expectSharedSignal },
  'get from a rough server': {
    weight: 80,
    run: (bed) => expectGet(bed, `${bed.rough}/length/9000`),
  },
  'get chunked': { weight: 70, run: (bed) => expectGet(bed, `${bed.rough}/chunked/40000`) },
  'get after 1xx': { weight: 40, run: (bed) => expectGet(bed, `${bed.rough}/information/2000`) },
  'get with trailers': { weight: 20, run: expectTrailers },
  'get piece by piece': { weight: 40, run: (bed) => expectPieces(bed, 0) },
  'get by a slow reader': { weight: 10, run: (bed) => expectPieces(bed, READER_PAUSE_MS) },
  head: { weight: 50, run: expectHead },
  'post bytes': { weight: 50, run: (bed) => expectUpload(bed, createBytes()) },
  'post stream with length': { weight: 20, run: (bed) => expectUpload(bed, createStream(true)) },
  'post stream chunked': { weight: 20, run: (bed) => expectUpload(bed, createStream(false)) },
  'post with trailers': { weight: 20, run: expectUploadTrailers },
  'put bytes, rough server': { weight: 30, run: expectPut },
  'closed by field': { weight: 20, run: (bed) => expectGet(bed, `${bed.rough}/close/500`) },
  'aborted download': { weight: 50, run: expectAbort },
  'aborted upload': { weight: 10, run: expectAbortedUpload },
  'aborted before': { weight: 5, run: expectAbortBefore },
  'signal times out': { weight: 10, run: expectDeadline },
  'cancelled half-way': { weight: 30, run: expectBreak },
  'cancelled at the head': { weight: 15, run: expectCancel },
  'left to the pool': { weight: 15, run: expectLeft },
  'reset before the head': { weight: 10, run: (bed) => expectLoss(bed, `${bed.rough}/reset/0`) },
  'reset half-way': { weight: 10, run: (bed) => expectLoss(bed, `${bed.rough}/reset-half/10000`) },
  'ended half-way': { weight: 10, run: (bed) => expectLoss(bed, `${bed.fragile}/end-half/10000`) },
  'stalled head': { weight: 1, run: (bed) => expectTimeout(bed, 'stall-head', 'headers') },
  'stalled half-way': { weight: 1, run: (bed) => expectTimeout(bed, 'stall-half', 'body') },
}

export const HTTP1_SCENARIOS: Readonly<Record<string, Scenario>> = {
  ...SCENARIOS,
  'closed silently': {
    weight: 20,
    run: (bed) => expectGet(bed, `${bed.rough}/close-silently/500`),
  },
}

export const HTTP2_SCENARIOS: Readonly<Record<string, Scenario>> = {
  ...SCENARIOS,
  'refused, then served': { weight: 20, run: (bed) => expectGet(bed, `${bed.rough}/refuse/500`) },
  'lost before the head': { weight: 5, run: (bed) => expectLoss(bed, `${bed.fragile}/lose/0`) },
}

// ── What must succeed

async function expectGet({ pool }: SoakBed, url: string): Promise<void> {
  const response = await pool.request(new HttpRequest('GET', url))
  await expectContent(response, url)
}

async function expectDispatch({ pool, files }: SoakBed): Promise<void> {
  const wanted = new HttpRequest('GET', `${files}/${SMALL_BYTES}.bin`)
  const content = await new Promise<ArrayBuffer | Uint8Array>((resolve, reject) => {
    pool.dispatch(wanted, new FerryCollector({ resolve, reject }))
  })
  expectSame(new Uint8Array(content), SMALL_BYTES)
}

async function expectSharedSignal({ pool, files, sharedSignal }: SoakBed): Promise<void> {
  const url = `${files}/${SMALL_BYTES}.bin`
  const response = await pool.request(new HttpRequest('GET', url), { signal: sharedSignal })
  await expectContent(response, url)
}

async function expectTrailers({ pool, rough }: SoakBed): Promise<void> {
  const url = `${rough}/trailers/3000`
  const response = await pool.request(new HttpRequest('GET', url))
  await expectContent(response, url)
  const digest = response.body.trailers.get('x-digest')
  if (digest !== digestOf(contentOf(3000))) throw new Error(`Wrong trailer: ${digest}`)
}

async function expectPieces({ pool, files }: SoakBed, pauseMs: number): Promise<void> {
  const { body } = await pool.request(new HttpRequest('GET', `${files}/${HUGE_BYTES}.bin`))
  const chunks: Uint8Array[] = []
  for await (const chunk of body) {
    chunks.push(chunk)
    if (pauseMs > 0) await wait(pauseMs)
  }
  expectSame(Buffer.concat(chunks), HUGE_BYTES)
}

async function expectHead({ pool, files }: SoakBed): Promise<void> {
  const url = `${files}/${LARGE_BYTES}.bin`
  const { status, headers, body } = await pool.request(new HttpRequest('HEAD', url))
  const content = await body.bytes()
  const announced = headers.get('content-length')
  if (status !== 200 || announced !== String(LARGE_BYTES) || content.length !== 0) {
    throw new Error(`HEAD gave ${status}, length ${announced}, ${content.length} bytes`)
  }
}

async function expectUpload({ pool, steady }: SoakBed, { content, sent }: Upload): Promise<void> {
  const response = await pool.request(new HttpRequest('POST', `${steady}/echo`, { content }))
  await expectEcho(response, sent)
}

/** The server tells the digest of the trailers, not its own. */
async function expectUploadTrailers({ pool, steady }: SoakBed): Promise<void> {
  const { content, sent } = createStream(false)
  const trailers = (): Record<string, string> => ({ 'x-digest': digestOf(sent) })
  const upload = new HttpRequest('POST', `${steady}/echo-trailers`, { content, trailers })
  await expectEcho(await pool.request(upload), sent)
}

/** A closed connection may break it; then it goes out again by itself. */
async function expectPut({ pool, rough }: SoakBed): Promise<void> {
  const { content, sent } = createBytes()
  const response = await pool.request(new HttpRequest('PUT', `${rough}/echo`, { content }))
  await expectEcho(response, sent)
}

// ── What ends otherwise

async function expectAbort({ pool, rough, files }: SoakBed): Promise<void> {
  const url = Math.random() < 0.5 ? `${rough}/slow/20000` : `${files}/${HUGE_BYTES}.bin`
  await expectEndByAbort(async (signal) => {
    await expectContent(await pool.request(new HttpRequest('GET', url), { signal }), url)
  })
}

async function expectAbortedUpload({ pool, steady }: SoakBed): Promise<void> {
  const { content, sent } = createStream(Math.random() < 0.5, 5)
  const upload = new HttpRequest('POST', `${steady}/echo`, { content })
  await expectEndByAbort(async (signal) => {
    await expectEcho(await pool.request(upload, { signal }), sent)
  })
}

/** Aborts at a random moment. */
async function expectEndByAbort(run: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController()
  const abort = (): void => controller.abort(new Error('Aborted by the soak'))
  const timer = setTimeout(abort, Math.random() * MAX_ABORT_DELAY_MS)
  try {
    await expectEndBySignal(controller.signal, () => run(controller.signal))
  } finally {
    clearTimeout(timer)
  }
}

/**
 * The run must fail with the very reason of the signal, or succeed before the signal has come: a
 * busy process runs timers late, and then a response may be first.
 */
async function expectEndBySignal(signal: AbortSignal, run: () => Promise<void>): Promise<void> {
  try {
    await run()
  } catch (error) {
    if (signal.aborted && error === signal.reason) return
    throw error
  }
  if (signal.aborted) throw new Error('It succeeded although it was aborted')
}

async function expectAbortBefore({ pool, files }: SoakBed): Promise<void> {
  const reason = new Error('Aborted by the soak')
  const signal = AbortSignal.abort(reason)
  const url = `${files}/${SMALL_BYTES}.bin`
  await expectFailure(
    pool.request(new HttpRequest('GET', url), { signal }),
    (error) => error === reason,
  )
}

async function expectDeadline({ pool, rough }: SoakBed): Promise<void> {
  const signal = AbortSignal.timeout(5)
  const url = `${rough}/slow/20000`
  await expectEndBySignal(signal, async () => {
    await expectContent(await pool.request(new HttpRequest('GET', url), { signal }), url)
  })
}

async function expectBreak({ pool, files }: SoakBed): Promise<void> {
  const { body } = await pool.request(new HttpRequest('GET', `${files}/${HUGE_BYTES}.bin`))
  let taken = 0
  for await (const chunk of body) {
    expectEqualBytes(chunk, contentOf(HUGE_BYTES).subarray(taken, taken + chunk.length))
    taken += chunk.length
    if (taken >= HUGE_BYTES / 4) break
  }
}

async function expectCancel({ pool, files }: SoakBed): Promise<void> {
  const { status, body } = await pool.request(new HttpRequest('GET', `${files}/${HUGE_BYTES}.bin`))
  body.cancel()
  if (status !== 200) throw new Error(`Expected 200, got ${status}`)
}

/** Whoever wants the status only leaves a body that is here already. */
async function expectLeft({ pool, files }: SoakBed): Promise<void> {
  const { status } = await pool.request(new HttpRequest('GET', `${files}/${SMALL_BYTES}.bin`))
  if (status !== 200) throw new Error(`Expected 200, got ${status}`)
}

/** At most half of the bytes that the URL ends with may have come. */
async function expectLoss({ pool }: SoakBed, url: string): Promise<void> {
  const half = Number(url.split('/').at(-1)) / 2
  const run = async (): Promise<void> => {
    const response = await pool.request(new HttpRequest('GET', url))
    await response.body.bytes()
  }
  const isLoss = (error: unknown): boolean =>
    isFerryError(error, 'connection-lost') && (error as StreamError).bytesReceived <= half
  await expectFailure(run(), isLoss)
}

async function expectTimeout(
  { pool, rough }: SoakBed,
  route: string,
  phase: TimeoutError['phase'],
): Promise<void> {
  const run = async (): Promise<void> => {
    const response = await pool.request(new HttpRequest('GET', `${rough}/${route}/1000`))
    await response.body.bytes()
  }
  const isTimeout = (error: unknown): boolean =>
    isFerryError(error, 'timeout') && (error as TimeoutError).phase === phase
  await expectFailure(run(), isTimeout)
}

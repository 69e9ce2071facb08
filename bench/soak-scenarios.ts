/**
 * What one request of the soak may be: a table of scenarios with their weights. Each resolves when
 * the request went exactly as it must, and throws otherwise; how it may end is part of it.
 */
import { isFerryError, type StreamError, type TimeoutError } from 'ferry/errors'
import { type ConnectionPool, HttpRequest, type HttpResponse } from 'ferry/transport'
import { FerryCollector } from './collect-handlers.ts'
import { contentOf, digestOf } from './soak-content.ts'

/** Where requests go. */
export interface SoakBed {
  readonly pool: ConnectionPool
  /** nginx; `/BYTES.bin` has as many bytes of the content. */
  readonly files: string
  /** A server that closes, resets and stalls. */
  readonly rough: string
  /** The same one where it never closes a kept connection. */
  readonly steady: string
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

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
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
  'get piece by piece': { weight: 40, run: expectPieces },
  head: { weight: 50, run: expectHead },
  'post bytes': { weight: 50, run: (bed) => expectUpload(bed, createBytes()) },
  'post stream with length': { weight: 20, run: (bed) => expectUpload(bed, createStream(true)) },
  'post stream chunked': { weight: 20, run: (bed) => expectUpload(bed, createStream(false)) },
  'put bytes, rough server': { weight: 30, run: expectPut },
  'closed by field': { weight: 20, run: (bed) => expectGet(bed, `${bed.rough}/close/500`) },
  'closed silently': {
    weight: 20,
    run: (bed) => expectGet(bed, `${bed.rough}/close-silently/500`),
  },
  'aborted download': { weight: 50, run: expectAbort },
  'aborted upload': { weight: 10, run: expectAbortedUpload },
  'aborted before': { weight: 5, run: expectAbortBefore },
  'signal times out': { weight: 10, run: expectDeadline },
  'cancelled half-way': { weight: 30, run: expectBreak },
  'cancelled at the head': { weight: 15, run: expectCancel },
  'left to the pool': { weight: 15, run: expectLeft },
  'reset before the head': { weight: 10, run: (bed) => expectLoss(bed, 'reset', 0) },
  'reset half-way': { weight: 10, run: (bed) => expectLoss(bed, 'reset-half', 10_000) },
  'ended half-way': { weight: 10, run: (bed) => expectLoss(bed, 'end-half', 10_000) },
  'stalled head': { weight: 1, run: (bed) => expectTimeout(bed, 'stall-head', 'headers') },
  'stalled half-way': { weight: 1, run: (bed) => expectTimeout(bed, 'stall-half', 'body') },
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

async function expectPieces({ pool, files }: SoakBed): Promise<void> {
  const { body } = await pool.request(new HttpRequest('GET', `${files}/${HUGE_BYTES}.bin`))
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
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

async function expectLoss({ pool, rough }: SoakBed, route: string, bytes: number): Promise<void> {
  const run = async (): Promise<void> => {
    const response = await pool.request(new HttpRequest('GET', `${rough}/${route}/${bytes}`))
    await response.body.bytes()
  }
  const isLoss = (error: unknown): boolean =>
    isFerryError(error, 'connection-lost') && (error as StreamError).bytesReceived <= bytes / 2
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

// ── Checks

async function expectFailure(
  run: Promise<unknown>,
  isExpected: (error: unknown) => boolean,
): Promise<void> {
  try {
    await run
  } catch (error) {
    if (isExpected(error)) return
    throw error
  }
  throw new Error('It succeeded, and must not')
}

/** The length is what the URL ends with. */
async function expectContent({ status, body }: HttpResponse, url: string): Promise<void> {
  if (status !== 200) throw new Error(`Expected 200, got ${status}`)
  expectSame(await body.bytes(), Number(/(\d+)(?:\.bin)?$/.exec(url)?.[1]))
}

function expectSame(content: Uint8Array, length: number): void {
  expectEqualBytes(content, contentOf(length))
}

function expectEqualBytes(content: Uint8Array, expected: Uint8Array): void {
  if (Buffer.compare(content, expected) === 0) return
  throw new Error(`Wrong content: ${content.length} of ${expected.length} bytes, or others`)
}

async function expectEcho({ status, body }: HttpResponse, sent: Uint8Array): Promise<void> {
  const answer = (await body.bytes()).toString()
  if (status === 200 && answer === `${sent.length} ${digestOf(sent)}`) return
  throw new Error(`Upload of ${sent.length} bytes was answered with ${status}: ${answer}`)
}

// ── Content to send

interface Upload {
  readonly content: HttpRequest['content']
  /** What the server must get. */
  readonly sent: Buffer
}

function createBytes(): Upload {
  const sent = contentOf(Math.floor(Math.random() * 20_000))
  return { content: sent, sent }
}

function createStream(hasLength: boolean, pauseMs = 0): Upload {
  const sent = contentOf(Math.floor(Math.random() * 100_000))
  const open = (): AsyncIterable<Uint8Array> => yieldPieces(sent, pauseMs)
  const content = { open, replayable: true, ...(hasLength ? { length: sent.length } : {}) }
  return { content, sent }
}

async function* yieldPieces(content: Buffer, pauseMs: number): AsyncIterable<Uint8Array> {
  for (let at = 0; at < content.length; at += 16_384) {
    await new Promise((resolve) =>
      pauseMs > 0 ? setTimeout(resolve, pauseMs) : setImmediate(resolve),
    )
    yield content.subarray(at, at + 16_384)
  }
}

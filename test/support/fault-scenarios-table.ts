/**
 * What goes wrong at a server while a file is fetched: the rows of docs/download-behaviour.md, and of
 * test/interop/download-faults.test.ts. Places and times are parts of the file and of the time that
 * one connection needs for it, so that a small file goes through the same as a large one.
 */
import type { FaultServer } from '../../packages/ferry/src/testing/fault-server.ts'
import type {
  Fault,
  FaultServerOptions,
  LoggedRequest,
} from '../../packages/ferry/src/testing/fault-server-answer.ts'

/** What the rows are played with. */
export interface FaultSetting {
  readonly content: Buffer
  /** Another file of the same size. */
  readonly replacement: Buffer
  /** Of each connection. */
  readonly bytesPerSecond: number
  /** How many connections a server allows that allows few. */
  readonly fewConnections: number
}

/** One kind of trouble. */
export interface FaultScenario {
  readonly name: string
  readonly group: FaultGroup
  /**
   * What a client that makes no mistake comes to: the file, which can be had in spite of the trouble;
   * an error, since it cannot; or one of both, where it depends on how much trouble it takes.
   */
  readonly ends: 'file' | 'error' | 'either'
  /** How often the bytes of the file may be sent in all; beyond is waste. */
  readonly maxCopies: number
  readonly options: (setting: FaultSetting) => Partial<FaultServerOptions>
  /** What happens at the server meanwhile. */
  readonly during?: (server: FaultServer, setting: FaultSetting) => Promise<void>
}

export type FaultGroup =
  | 'speed'
  | 'breaks'
  | 'refusals'
  | 'ranges'
  | 'versions'
  | 'codings and URLs'

type Script = (request: LoggedRequest) => Fault | undefined

const ETAG = '"v1"'
const NEW_ETAG = '"v2"'
const LAST_MODIFIED = 'Fri, 20 Nov 2020 10:00:00 GMT'
const NEW_LAST_MODIFIED = 'Sat, 21 Nov 2020 10:00:00 GMT'
const SLOWDOWN = 40
/** Whoever adds connections one by one meets the second when it cannot tell yet what a third brings. */
const ONE_OF_SEVERAL = [
  ['second', 1],
  ['third', 2],
] as const
const STALL_AFTER_BYTES = 1000
const SHIFT_BYTES = 1000
const RETRY_AFTER = { 'Retry-After': '1' }
/** Besides the file: its end twice where two connections race for it, and what was on its way. */
const ONE_COPY = 1.5
const TWO_COPIES = 2.5

/** The same for one connection alone. */
const onConnection =
  (index: number, fault: Fault): Script =>
  ({ connection }) =>
    connection === index ? fault : undefined

/** The same for the first requests alone. */
const onFirst =
  (count: number, fault: Fault): Script =>
  ({ index }) =>
    index < count ? fault : undefined

/** The same for each request with a range; the first answer breaks, so that there is one. */
const onRanges =
  (setting: FaultSetting, faultOf: (range: readonly [number, number]) => Fault): Script =>
  (request) =>
    request.range === undefined ? cutOnce(setting)(request) : faultOf(request.range)

/** Where a part of the file ends. */
function partOf({ content }: FaultSetting, part: number): number {
  return Math.floor(content.length * part)
}

function cutOnce(setting: FaultSetting): Script {
  return onFirst(1, { type: 'end', afterBytes: partOf(setting, 0.4) })
}

/** Another file takes the place of this one when a part of it was sent; connections break. */
const replaceBy =
  (
    change: (setting: FaultSetting) => Partial<FaultServerOptions>,
  ): NonNullable<FaultScenario['during']> =>
  async (server, setting) => {
    await server.whenSent(partOf(setting, 0.25))
    Object.assign(server.options, change(setting))
    server.disconnect()
  }

const SPEED: readonly FaultScenario[] = [
  {
    name: 'an honest server',
    group: 'speed',
    ends: 'file',
    maxCopies: ONE_COPY,
    options: () => ({}),
  },
  ...ONE_OF_SEVERAL.map<FaultScenario>(([which, connection]) => ({
    name: `the ${which} connection at 1/40 of the speed`,
    group: 'speed',
    ends: 'file',
    maxCopies: ONE_COPY,
    options: ({ bytesPerSecond }) => ({
      fault: onConnection(connection, { type: 'slow', bytesPerSecond: bytesPerSecond / SLOWDOWN }),
    }),
  })),
  ...ONE_OF_SEVERAL.map<FaultScenario>(([which, connection]) => ({
    name: `the ${which} connection falls silent`,
    group: 'speed',
    ends: 'file',
    maxCopies: ONE_COPY,
    options: () => ({
      fault: onConnection(connection, { type: 'stall', afterBytes: STALL_AFTER_BYTES }),
    }),
  })),
  {
    name: 'all connections together have the speed of two',
    group: 'speed',
    ends: 'file',
    maxCopies: ONE_COPY,
    options: ({ bytesPerSecond }) => ({ totalBytesPerSecond: 2 * bytesPerSecond }),
  },
  {
    name: 'each head comes half a second late',
    group: 'speed',
    ends: 'file',
    maxCopies: ONE_COPY,
    options: () => ({ fault: () => ({ type: 'late', delayMs: 500 }) }),
  },
]

const BREAKS: readonly FaultScenario[] = [
  {
    name: 'each answer is closed after a tenth of the file',
    group: 'breaks',
    ends: 'file',
    maxCopies: ONE_COPY,
    options: (setting) => ({
      fault: () => ({ type: 'end', afterBytes: partOf(setting, 0.1) }),
    }),
  },
  {
    name: 'each answer is reset after a tenth of the file',
    group: 'breaks',
    ends: 'file',
    maxCopies: ONE_COPY,
    options: (setting) => ({
      fault: () => ({ type: 'reset', afterBytes: partOf(setting, 0.1) }),
    }),
  },
  {
    name: 'the first two answers fall silent on their way',
    group: 'breaks',
    ends: 'file',
    maxCopies: ONE_COPY,
    options: (setting) => ({
      fault: onFirst(2, { type: 'stall', afterBytes: partOf(setting, 0.2) }),
    }),
  },
  {
    name: 'the first two connections break before an answer',
    group: 'breaks',
    ends: 'file',
    maxCopies: ONE_COPY,
    options: () => ({ fault: onFirst(2, { type: 'drop' }) }),
  },
  {
    name: 'Content-Length names more than comes',
    group: 'breaks',
    ends: 'either',
    maxCopies: TWO_COPIES,
    options: () => ({
      fault: ({ range }) => (range === undefined ? { type: 'length', by: 10_000 } : undefined),
    }),
  },
]

const REFUSALS: readonly FaultScenario[] = [
  {
    name: '429 with Retry-After, three times',
    group: 'refusals',
    ends: 'file',
    maxCopies: ONE_COPY,
    options: () => ({ fault: onFirst(3, { type: 'status', status: 429, headers: RETRY_AFTER }) }),
  },
  {
    name: '503 with Retry-After, three times',
    group: 'refusals',
    ends: 'file',
    maxCopies: ONE_COPY,
    options: () => ({ fault: onFirst(3, { type: 'status', status: 503, headers: RETRY_AFTER }) }),
  },
  {
    name: '503 to the second, third and fourth request',
    group: 'refusals',
    ends: 'file',
    maxCopies: ONE_COPY,
    options: () => ({
      fault: ({ index }) => (index > 0 && index < 4 ? { type: 'status', status: 503 } : undefined),
    }),
  },
  ...[503, 403, 429].map<FaultScenario>((status) => ({
    name: `few answers at once, ${status} beyond`,
    group: 'refusals',
    ends: 'file',
    maxCopies: ONE_COPY,
    options: ({ fewConnections }) => ({
      maxConcurrent: fewConnections,
      busy: { status, ...(status === 429 ? { headers: RETRY_AFTER } : {}) },
    }),
  })),
  {
    name: 'few connections at once, others are reset',
    group: 'refusals',
    ends: 'file',
    maxCopies: ONE_COPY,
    options: ({ fewConnections }) => ({ maxConnections: fewConnections }),
  },
  {
    name: '404, with a page that says so',
    group: 'refusals',
    ends: 'error',
    maxCopies: 0.1,
    options: () => ({ fault: () => ({ type: 'status', status: 404 }) }),
  },
]

const RANGES: readonly FaultScenario[] = [
  {
    name: 'ranges are ignored',
    group: 'ranges',
    ends: 'file',
    maxCopies: ONE_COPY,
    options: () => ({ ranges: 'ignored' }),
  },
  {
    name: 'the first answer breaks, and ranges are ignored from the third request on',
    group: 'ranges',
    ends: 'file',
    maxCopies: TWO_COPIES,
    options: (setting) => ({
      fault: (request) => (request.index > 1 ? { type: 'whole' } : cutOnce(setting)(request)),
    }),
  },
  {
    name: `a 206 begins ${SHIFT_BYTES} bytes too early`,
    group: 'ranges',
    ends: 'either',
    maxCopies: TWO_COPIES,
    options: (setting) => ({
      fault: onRanges(setting, () => ({ type: 'shift', by: -SHIFT_BYTES })),
    }),
  },
  {
    name: 'a 206 begins at the start of the file',
    group: 'ranges',
    ends: 'either',
    maxCopies: TWO_COPIES,
    options: (setting) => ({
      fault: onRanges(setting, ([first]) => ({ type: 'shift', by: -first })),
    }),
  },
  {
    name: 'a 206 names another size of the file',
    group: 'ranges',
    ends: 'either',
    maxCopies: TWO_COPIES,
    options: (setting) => ({
      fault: onRanges(setting, ([first, last]) => {
        const { length } = setting.content
        const value = `bytes ${first}-${Math.min(last, length - 1)}/${length + SHIFT_BYTES}`
        return { type: 'content-range', value }
      }),
    }),
  },
  {
    name: 'a 206 does not say which range it is',
    group: 'ranges',
    ends: 'either',
    maxCopies: TWO_COPIES,
    options: (setting) => ({
      fault: onRanges(setting, () => ({ type: 'content-range', value: undefined })),
    }),
  },
  {
    name: 'the Content-Length of a 206 is less than its range',
    group: 'ranges',
    ends: 'either',
    maxCopies: TWO_COPIES,
    options: (setting) => ({
      fault: onRanges(setting, () => ({ type: 'length', by: -SHIFT_BYTES })),
    }),
  },
]

const VERSIONS: readonly FaultScenario[] = [
  {
    name: 'the file is replaced by one of the same size, with another ETag',
    group: 'versions',
    ends: 'either',
    maxCopies: TWO_COPIES,
    options: () => ({ etag: ETAG }),
    during: replaceBy(({ replacement }) => ({ content: replacement, etag: NEW_ETAG })),
  },
  {
    name: 'the same, the ETag stays but Last-Modified does not',
    group: 'versions',
    ends: 'either',
    maxCopies: TWO_COPIES,
    options: () => ({ etag: ETAG, lastModified: LAST_MODIFIED }),
    during: replaceBy(({ replacement }) => ({
      content: replacement,
      lastModified: NEW_LAST_MODIFIED,
    })),
  },
  {
    name: 'the same, without ETag and Last-Modified',
    group: 'versions',
    ends: 'either',
    maxCopies: TWO_COPIES,
    options: () => ({ etag: undefined }),
    during: replaceBy(({ replacement }) => ({ content: replacement })),
  },
  {
    name: 'the file is replaced by a longer one under the same ETag',
    group: 'versions',
    ends: 'either',
    maxCopies: TWO_COPIES,
    options: () => ({ etag: ETAG }),
    during: replaceBy(({ replacement }) => ({
      content: Buffer.concat([replacement, replacement.subarray(0, SHIFT_BYTES)]),
    })),
  },
  {
    name: 'a weak ETag, and the first answer breaks',
    group: 'versions',
    ends: 'file',
    maxCopies: TWO_COPIES,
    options: (setting) => ({ etag: 'W/"v1"', fault: cutOnce(setting) }),
  },
  {
    name: 'no ETag and no Last-Modified, and the first answer breaks',
    group: 'versions',
    ends: 'file',
    maxCopies: TWO_COPIES,
    options: (setting) => ({ etag: undefined, fault: cutOnce(setting) }),
  },
  {
    name: 'each connection meets another ETag of the same file, and the first answer breaks',
    group: 'versions',
    ends: 'either',
    maxCopies: TWO_COPIES,
    options: (setting) => ({
      etag: ({ connection }) => `"edge-${connection}"`,
      lastModified: LAST_MODIFIED,
      fault: cutOnce(setting),
    }),
  },
  {
    name: 'If-Range is answered with 200 though the ETag is the same, and the first answer breaks',
    group: 'versions',
    ends: 'file',
    maxCopies: TWO_COPIES,
    options: (setting) => ({ ifRange: 'refused', fault: cutOnce(setting) }),
  },
  {
    name: 'a byte is damaged on its way, as Repr-Digest shows',
    group: 'versions',
    ends: 'error',
    maxCopies: TWO_COPIES,
    options: (setting) => ({
      reprDigest: true,
      fault: () => ({ type: 'damage', offset: partOf(setting, 0.5) }),
    }),
  },
]

const CODINGS: readonly FaultScenario[] = [
  {
    name: 'the answer is coded with gzip whatever was asked for',
    group: 'codings and URLs',
    ends: 'either',
    maxCopies: TWO_COPIES,
    options: () => ({ contentCoding: 'gzip' }),
  },
  {
    name: 'the answer is chunked, without a length',
    group: 'codings and URLs',
    ends: 'file',
    maxCopies: ONE_COPY,
    options: () => ({ chunked: true }),
  },
  {
    name: 'the same, and the first answer breaks',
    group: 'codings and URLs',
    ends: 'file',
    maxCopies: TWO_COPIES,
    options: (setting) => ({ chunked: true, fault: cutOnce(setting) }),
  },
  {
    name: 'a URL that works once, then 410',
    group: 'codings and URLs',
    ends: 'file',
    maxCopies: ONE_COPY,
    options: () => ({
      fault: ({ index }) => (index > 0 ? { type: 'status', status: 410 } : undefined),
    }),
  },
  {
    name: 'a redirection to a URL that expires on the way, and answers that break',
    group: 'codings and URLs',
    ends: 'file',
    maxCopies: TWO_COPIES,
    options: (setting) => ({
      signedUrls: { expireAfterMs: expiryOf(setting) },
      fault: () => ({ type: 'end', afterBytes: partOf(setting, 0.2) }),
    }),
  },
]

/** After the first answer has broken, in either case, and before one connection is done. */
function expiryOf({ content, bytesPerSecond }: FaultSetting): number {
  return Math.floor((content.length / bytesPerSecond) * 1000 * 0.15)
}

export const FAULT_SCENARIOS: readonly FaultScenario[] = [
  ...SPEED,
  ...BREAKS,
  ...REFUSALS,
  ...RANGES,
  ...VERSIONS,
  ...CODINGS,
]

/**
 * What happens to clients, one case a row, and what Ferry has to make of it.
 *
 * An outcome is `200 "text"`, a status of 400 or more, or the code of an error; what the server saw
 * follows where it is of interest.
 */
import { constants, deflateRawSync, gzipSync } from 'node:zlib'
import type { Ask, Topic } from '../support/behaviour-clients.ts'
import { type CountedRequest, CountingServer } from '../support/counting-server.ts'

/** What a row is shown with. */
export interface Stage extends AsyncDisposable {
  readonly url: string
  readonly requests: readonly CountedRequest[]
  /** Something of the server's to be told. */
  readonly notes?: readonly string[]
}

/** A row of the table. */
export interface BehaviourRow {
  readonly name: string
  readonly topic: Topic
  /** Opens a server for one client. */
  readonly open: () => Promise<Stage>
  /** What is asked, one after another. @defaultValue one GET */
  readonly asks?: readonly Partial<Ask>[]
  readonly ferry: string
}

const OK = 'HTTP/1.1 200 OK\r\n'
const GOOD = `${OK}Content-Length: 2\r\n\r\nok`
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`
const SECRET = 's3cret'
const SECRET_HEADERS = {
  Authorization: `Bearer ${SECRET}`,
  Cookie: `sid=${SECRET}`,
  'X-Api-Key': SECRET,
}
const POST: Partial<Ask> = { method: 'POST', content: 'pay' }

/** The n-th request gets the n-th reply, or `reset`, and the last one all that follow. */
function reply(...replies: readonly string[]): () => Promise<Stage> {
  return () =>
    CountingServer.open(({ number, socket }) => {
      const bytes = replies[Math.min(number, replies.length) - 1] as string
      if (bytes === 'reset') socket.resetAndDestroy()
      else socket.write(bytes, 'latin1')
    })
}

/** The reply, and then the end of the connection. */
function replyAndEnd(...replies: readonly string[]): () => Promise<Stage> {
  return () =>
    CountingServer.open(({ number, socket }) => {
      socket.end(replies[Math.min(number, replies.length) - 1] as string, 'latin1')
    })
}

function gzipped(bytes: Buffer): string {
  const head = `${OK}Content-Encoding: gzip\r\nContent-Length: ${bytes.length}\r\n\r\n`
  return head + bytes.toString('latin1')
}

const STALE: BehaviourRow[] = [
  {
    name: 'a kept connection is closed just as the next GET is sent',
    topic: 'retry',
    // The first request on a connection is answered; the next one finds it closed.
    open: () =>
      CountingServer.open(({ onConnection, socket }) => {
        if (onConnection === 1) socket.write(GOOD)
        else socket.end()
      }),
    asks: [{}, {}],
    ferry: '200 "ok" | 200 "ok" · 3 requests',
  },
  {
    name: 'a kept connection is closed just as a POST is sent, which may have had its effect',
    topic: 'retry',
    open: () =>
      CountingServer.open(({ onConnection, socket }) => {
        if (onConnection === 1) socket.write(GOOD)
        else socket.end()
      }),
    asks: [{}, POST],
    ferry: '200 "ok" | connection-lost',
  },
  {
    name: 'a new connection is reset before it brings an answer, once (GET)',
    topic: 'retry',
    open: reply('reset', GOOD),
    ferry: '200 "ok" · 2 requests',
  },
  {
    name: 'a new connection is reset before it brings an answer, once (POST)',
    topic: 'retry',
    open: reply('reset', GOOD),
    asks: [POST],
    ferry: 'connection-lost',
  },
]

const RETRIES: BehaviourRow[] = [
  {
    name: '503, then 200 (GET)',
    topic: 'retry',
    open: reply('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n', GOOD),
    ferry: '200 "ok" · 2 requests',
  },
  {
    name: '503, then 200 (POST): not repeated',
    topic: 'retry',
    open: reply('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n', GOOD),
    asks: [POST],
    ferry: '503',
  },
  {
    name: '429 with `Retry-After: 1`, then 200',
    topic: 'retry',
    open: reply('HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n', GOOD),
    ferry: '200 "ok" · 2 requests · after 1 s',
  },
  {
    name: 'content that ends too early by Content-Length, once',
    topic: 'retry',
    open: replyAndEnd(`${OK}Content-Length: 4\r\n\r\nok`, GOOD),
    ferry: '200 "ok" · 2 requests',
  },
  {
    name: 'content that ends too early by Content-Length, always',
    topic: 'plain',
    open: replyAndEnd(`${OK}Content-Length: 4\r\n\r\nok`),
    ferry: 'connection-lost · 4 requests',
  },
  {
    name: 'chunked content that is cut, always',
    topic: 'plain',
    open: replyAndEnd(`${CHUNKED}2\r\nok\r\n`),
    ferry: 'connection-lost · 4 requests',
  },
]

/** / of the first server leads to the second, which tells which secrets reached it. */
async function openTwo(): Promise<Stage> {
  const notes: string[] = []
  const other = await CountingServer.open(({ head, socket }) => {
    const leaked = Object.keys(SECRET_HEADERS).filter((name) =>
      new RegExp(String.raw`^${name}: .*${SECRET}`, 'im').test(head),
    )
    notes.push(leaked.length === 0 ? 'no secret' : `leaks ${leaked.join(', ')}`)
    socket.write(GOOD)
  })
  const first = await CountingServer.open(({ socket }) => {
    socket.write(`HTTP/1.1 302 On\r\nLocation: ${other.url}/\r\nContent-Length: 0\r\n\r\n`)
  })
  return {
    url: first.url,
    requests: first.requests,
    notes,
    async [Symbol.asyncDispose]() {
      await first[Symbol.asyncDispose]()
      await other[Symbol.asyncDispose]()
    },
  }
}

const REDIRECTS: BehaviourRow[] = [
  {
    name: 'a redirection to another origin, with Authorization, Cookie and X-Api-Key',
    topic: 'redirect',
    open: openTwo,
    asks: [{ headers: SECRET_HEADERS }],
    ferry: '200 "ok" · no secret',
  },
  {
    name: 'a redirection that leads to itself',
    topic: 'redirect',
    open: reply('HTTP/1.1 302 On\r\nLocation: /\r\nContent-Length: 0\r\n\r\n'),
    ferry: 'remote-protocol · 11 requests',
  },
]

const HEADS: BehaviourRow[] = [
  {
    name: '103 (Early Hints), then 200',
    topic: 'plain',
    open: reply(`HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n${GOOD}`),
    ferry: '200 "ok"',
  },
  {
    name: '100 (Continue) that nobody asked for, then 200',
    topic: 'plain',
    open: reply(`HTTP/1.1 100 Continue\r\n\r\n${GOOD}`),
    ferry: '200 "ok"',
  },
  {
    name: 'a field of 20 KB',
    topic: 'plain',
    open: reply(`${OK}X-Long: ${'x'.repeat(20_000)}\r\nContent-Length: 2\r\n\r\nok`),
    ferry: '200 "ok"',
  },
  {
    name: 'a head without end',
    topic: 'plain',
    open: () =>
      CountingServer.open(({ socket }) => {
        socket.write(OK)
        const line = `X-Long: ${'x'.repeat(1000)}\r\n`
        const timer = setInterval(() => socket.write(line.repeat(100)), 1)
        socket.on('close', () => clearInterval(timer))
      }),
    ferry: 'remote-protocol',
  },
  {
    name: 'a server that does not answer, with a limit of 300 ms',
    topic: 'slow',
    open: reply(''),
    asks: [{ timeoutMs: 300 }],
    ferry: 'timeout · within 1 s',
  },
  {
    name: 'a head of which a byte comes every 100 ms, with a limit of 300 ms',
    topic: 'slow',
    open: () =>
      CountingServer.open(({ socket }) => {
        let sent = 0
        const timer = setInterval(() => socket.write(GOOD[sent++ % GOOD.length] as string), 100)
        socket.on('close', () => clearInterval(timer))
      }),
    asks: [{ timeoutMs: 300 }],
    ferry: 'timeout · within 1 s',
  },
  {
    name: 'content of which a byte comes every 100 ms, with a limit of 300 ms',
    topic: 'slow',
    open: () =>
      CountingServer.open(({ socket }) => {
        socket.write(`${OK}Content-Length: 100\r\n\r\n`)
        const timer = setInterval(() => socket.write('x'), 100)
        socket.on('close', () => clearInterval(timer))
      }),
    asks: [{ timeoutMs: 300 }],
    ferry: 'timeout · within 1 s',
  },
]

const NEXT = `${OK}Content-Length: 4\r\n\r\nnext`
const FORGED = `${OK}Content-Length: 6\r\n\r\nforged`

const FRAMING: BehaviourRow[] = [
  {
    name: 'a chunk whose size is none',
    topic: 'plain',
    open: reply(`${CHUNKED}zz\r\nok\r\n0\r\n\r\n`),
    ferry: 'remote-protocol',
  },
  {
    name: 'HEAD that is answered with content, a forged answer; then GET',
    topic: 'plain',
    open: reply(`${OK}Content-Length: ${FORGED.length}\r\n\r\n${FORGED}`, NEXT),
    asks: [{ method: 'HEAD' }, {}],
    ferry: '200 "" | 200 "next"',
  },
  {
    name: '204 with content, a forged answer; then GET',
    topic: 'plain',
    open: reply(
      `HTTP/1.1 204 No Content\r\nContent-Length: ${FORGED.length}\r\n\r\n${FORGED}`,
      NEXT,
    ),
    asks: [{}, {}],
    ferry: '204 "" | 200 "next"',
  },
]

/** A gzip stream that says it has another length. */
function wrongLength(): Buffer {
  const bytes = gzipSync('ok')
  bytes.writeUInt32LE(3, bytes.length - 4)
  return bytes
}

const CODINGS: BehaviourRow[] = [
  { name: 'gzip', topic: 'decode', open: reply(gzipped(gzipSync('ok'))), ferry: '200 "ok"' },
  {
    name: 'gzip whose own length is wrong',
    topic: 'decode',
    open: reply(gzipped(wrongLength())),
    ferry: 'remote-protocol',
  },
  {
    name: 'gzip that is cut, within the right Content-Length',
    topic: 'decode',
    open: reply(gzipped(gzipSync('ok').subarray(0, -9))),
    ferry: 'remote-protocol',
  },
]

/** Every case but the bomb and the dead address, which take more than a server. */
export const BEHAVIOUR_ROWS: readonly BehaviourRow[] = [
  ...STALE,
  ...RETRIES,
  ...REDIRECTS,
  ...HEADS,
  ...FRAMING,
  ...CODINGS,
]

const MIB = 1_048_576
const BOMB_MIB = 10_240
// Method gzip, no name, no time (RFC 1952 §2.3).
const GZIP_HEAD = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])
// An empty last block (RFC 1951 §3.2.6), the CRC of so many zeros, and their number modulo 2^32.
const GZIP_END = Buffer.from('03002f911df400000080', 'hex')

/** 10 GiB of zeros as 10 MiB of gzip, as fast as they are taken. */
export function openBomb(): Promise<Stage> {
  const { Z_FULL_FLUSH } = constants
  // Ends at a byte and refers to nothing before it, so that it can stand again and again.
  const block = deflateRawSync(Buffer.alloc(MIB), { finishFlush: Z_FULL_FLUSH, level: 9 })
  return CountingServer.open(({ socket }) => {
    const length = GZIP_HEAD.length + BOMB_MIB * block.length + GZIP_END.length
    socket.write(`${OK}Content-Encoding: gzip\r\nContent-Length: ${length}\r\n\r\n`)
    socket.write(GZIP_HEAD)
    let left = BOMB_MIB
    const go = (): void => {
      while (left > 0 && !socket.destroyed) {
        left--
        const goesOn = socket.write(block)
        if (left === 0) socket.write(GZIP_END)
        if (!goesOn) {
          socket.once('drain', go)
          return
        }
      }
    }
    go()
  })
}

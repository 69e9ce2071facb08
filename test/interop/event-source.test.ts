/**
 * Server-sent events through nginx as a reverse proxy, with and without TLS; and the same streams read
 * by the package `eventsource`, which is to find the same events in them.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { EventSource } from 'eventsource'
import fc from 'fast-check'
import { ConnectionPool } from 'ferry/transport'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createCertificate } from '../../packages/ferry/src/testing/certificates.ts'
import { eventSource } from '../../packages/ferry/src/transport/event-source/event-source.ts'
import type { EventSourceOptions } from '../../packages/ferry/src/transport/event-source/event-source-options.ts'
import type { ServerEvent } from '../../packages/ferry/src/transport/event-source/event-queue.ts'
import type { EventSubscription } from '../../packages/ferry/src/transport/event-source/event-subscription.ts'
import { ServerProcess } from '../support/server-process.ts'
import { requireTool } from '../support/tools.ts'

const EVENTS = { 'Content-Type': 'text/event-stream' }
const CUT_AFTER_MS = 1000
/** A server that sends nothing for so long has been made to wait. */
const QUIET_MS = 200
/** What sockets and nginx may hold on the way, and more: the server would send without end. */
const BUFFERED_BYTES_LIMIT = 33_554_432
const CERTIFICATE = createCertificate('DNS:localhost,IP:127.0.0.1')
type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** What the server behind nginx does, set by each test. */
let answer: Answer = (_, response) => response.end()
const origin = createServer((request, response) => answer(request, response))
let nginx: ServerProcess

beforeAll(async () => {
  await once(origin.listen(0, '127.0.0.1'), 'listening')
  nginx = await ServerProcess.start({
    name: 'nginx',
    path: requireTool('nginx'),
    portCount: 2,
    configure: async (folder, ports) => {
      const cert = await folder.write('cert.pem', CERTIFICATE.cert)
      const key = await folder.write('key.pem', CERTIFICATE.key)
      const text = formatConfig(folder.path, ports, { cert, key })
      const path = await folder.write('nginx.conf', text)
      return ['-p', folder.path, '-c', path, '-e', 'stderr']
    },
  })
})

afterAll(async () => {
  await nginx[Symbol.asyncDispose]()
  origin.closeAllConnections()
  origin.close()
})

function formatConfig(
  folder: string,
  [port, tlsPort]: readonly number[],
  { cert, key }: { readonly cert: string; readonly key: string },
): string {
  return `
daemon off;
worker_processes 1;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid ${folder}/nginx.pid;
error_log stderr notice;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  gzip on;
  gzip_types *;
  gzip_min_length 1;
  server {
    listen 127.0.0.1:${port};
    listen 127.0.0.1:${tlsPort} ssl http2;
    ssl_certificate ${cert};
    ssl_certificate_key ${key};
    proxy_buffering off;
    proxy_http_version 1.1;
    proxy_set_header Connection '';
    location / { proxy_pass http://127.0.0.1:${(origin.address() as AddressInfo).port}; }
    location /cut {
      proxy_read_timeout ${CUT_AFTER_MS}ms;
      proxy_pass http://127.0.0.1:${(origin.address() as AddressInfo).port};
    }
  }
}
`
}

const WAYS = [
  { name: 'http', scheme: 'http', http2: 'off' },
  { name: 'https', scheme: 'https', http2: 'off' },
  { name: 'https with HTTP/2', scheme: 'https', http2: 'alpn' },
] as const

describe.each(WAYS)('over $name, through nginx', ({ scheme, http2 }) => {
  let pool: ConnectionPool

  beforeEach(() => {
    pool = new ConnectionPool({ tls: { ca: CERTIFICATE.cert }, http2 })
    return () => pool.close()
  })

  function open(path: string, options: Partial<EventSourceOptions> = {}): EventSubscription {
    const port = nginx.ports[scheme === 'http' ? 0 : 1]
    return eventSource(`${scheme}://127.0.0.1:${port}${path}`, { pool, ...options })
  }

  test('each event comes when it is sent, and not with the next', async () => {
    const count = 20
    let say: (id: number) => void = () => {}
    answer = (_, response) => {
      response.writeHead(200, EVENTS)
      say = (id) => void response.write(`id: ${id}\ndata: grüße €\n\n`)
      say(1)
    }
    const ids: string[] = []
    let version: string | undefined
    const onOpen: EventSourceOptions['onOpen'] = (opening) => (version = opening.version)

    for await (const { lastEventId, data } of open('/', { onOpen })) {
      expect(data).toBe('grüße €')
      ids.push(lastEventId)
      if (ids.length === count) break
      say(ids.length + 1)
    }

    expect(ids).toEqual(Array.from({ length: count }, (_, index) => `${index + 1}`))
    expect(version).toBe(http2 === 'alpn' ? '2' : '1.1')
  })

  test('it goes on where nginx cuts a silent stream, and with the last id', async () => {
    const asked: unknown[] = []
    answer = (request, response) => {
      asked.push(request.headers['last-event-id'])
      response.writeHead(200, EVENTS)
      response.write(`retry: 10\nid: né ${asked.length}\ndata: a\n\ndata: never whole`)
    }
    const ids: string[] = []

    for await (const { lastEventId } of open('/cut')) if (ids.push(lastEventId) === 2) break

    expect(ids).toEqual(['né 1', 'né 2'])
    // As UTF-8, which node:http shows byte by byte.
    expect(asked).toEqual([undefined, Buffer.from('né 1').toString('latin1')])
  })

  test('it waits while nginx finds nobody behind itself', async () => {
    const statuses: unknown[] = []
    let requests = 0
    answer = (_, response) => {
      requests++
      if (requests <= 2) response.destroy()
      else response.writeHead(200, EVENTS).write('data: back\n\n')
    }
    const onRetry: EventSourceOptions['onRetry'] = ({ reason }) =>
      statuses.push((reason as { status?: number }).status)
    const data: string[] = []

    for await (const event of open('/', { retryMs: 10, onRetry })) {
      data.push(event.data)
      break
    }

    expect([data, statuses]).toEqual([['back'], [502, 502]])
  })

  test('nothing is compressed on the way, though nginx would', async () => {
    answer = (_, response) => response.writeHead(200, EVENTS).end('data: a\n\n')

    await using withGzip = open('/', { headers: { 'Accept-Encoding': 'gzip' } })
    const plain: ServerEvent[] = []
    for await (const event of open('/', { reconnect: false })) plain.push(event)

    expect(plain).toMatchObject([{ data: 'a' }])
    await expect(withGzip.next()).rejects.toThrow('content coding "gzip"')
  })

  test('a slow reader makes the server behind wait', async () => {
    const piece = `data: ${'x'.repeat(1000)}\n\n`.repeat(64)
    let sentBytes = 0
    answer = (_, response) => {
      response.writeHead(200, EVENTS)
      const write = (): void => {
        while (!response.destroyed && response.write(piece)) sentBytes += piece.length
        response.once('drain', write)
      }
      write()
    }
    await using subscription = open('/', { maxHeldBytes: 100_000 })

    await subscription.next()
    let before = -1
    while (before !== sentBytes) {
      before = sentBytes
      await sleep(QUIET_MS)
    }
    expect(sentBytes).toBeLessThan(BUFFERED_BYTES_LIMIT)

    // Beyond all that stood in buffers.
    for (let bytes = 0; bytes < 2 * before; bytes += 1000) await subscription.next()
    expect(sentBytes).toBeGreaterThan(before)
  })

  test('204 from behind ends it, and the connection is kept', async () => {
    answer = (_, response) => response.writeHead(204).end()
    const events: ServerEvent[] = []

    for await (const event of open('/')) events.push(event)

    expect(events).toEqual([])
    await nextTurn()
    expect(pool.metrics()).toMatchObject({ idle: 1, closed: 0 })
  })
})

// ── The same streams, read by the package

const TYPES = ['message', 'add', 'grüße', '0']
const lineEnd = fc.constantFrom('\n', '\r', '\r\n')
const value = fc
  .string({ unit: 'grapheme', maxLength: 12 })
  .map((text) => text.replaceAll(/[\r\n\0]/g, ''))
const field = fc.oneof(
  { weight: 4, arbitrary: value.map((text) => `data: ${text}`) },
  { weight: 2, arbitrary: value.map((text) => `data:${text}`) },
  { weight: 4, arbitrary: fc.constant('') },
  { weight: 1, arbitrary: fc.constantFrom(...TYPES).map((type) => `event: ${type}`) },
  { weight: 1, arbitrary: value.map((text) => `id: ${text}`) },
  { weight: 1, arbitrary: value.map((text) => `: ${text}`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...['data', 'event', 'event:', 'id', 'id: a\0b', 'retry: 1', 'retry: x', 'retry', ':', '::'],
      ...[
        'Data: a',
        ' data: a',
        'data : a',
        'dat',
        'datas: a',
        'colour: red',
        'id:  a',
        '\uFEFFid: 9',
      ],
    ),
  },
)
const line = fc.tuple(field, lineEnd).map(([text, end]) => Buffer.from(text + end))
const noise = fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.concat([DATA, bytes, END]))
const DATA = Buffer.from('data: ')
const END = Buffer.from('\n\n')
const MARK = Buffer.from('\uFEFF')

/** Streams with all that may stand in them, in pieces cut anywhere. */
const streams = fc
  .record({
    hasMark: fc.boolean(),
    lines: fc.array(fc.oneof({ weight: 8, arbitrary: line }, { weight: 1, arbitrary: noise }), {
      minLength: 5,
      maxLength: 60,
      size: 'max',
    }),
    cuts: fc.array(fc.nat(400), { maxLength: 8 }),
  })
  .map(({ hasMark, lines, cuts }) => {
    // Two marks are read in two ways, see below.
    const begins = hasMark && lines[0]?.subarray(0, MARK.length).equals(MARK) !== true
    const bytes = Buffer.concat(begins ? [MARK, ...lines] : lines)
    const places = [0, ...cuts.filter((at) => at < bytes.length).sort((a, b) => a - b)]
    return places.map((at, index) => bytes.subarray(at, places[index + 1]))
  })

/** Answers every request with the same pieces, and then ends. */
function play(pieces: readonly Uint8Array[]): void {
  answer = (_, response) => {
    response.writeHead(200, EVENTS)
    void (async () => {
      for (const piece of pieces) {
        response.write(piece)
        await nextTurn()
      }
      response.end()
    })()
  }
}

function originUrl(): string {
  return `http://127.0.0.1:${(origin.address() as AddressInfo).port}/`
}

async function readWithFerry(pool: ConnectionPool): Promise<ServerEvent[]> {
  const events: ServerEvent[] = []
  for await (const event of eventSource(originUrl(), { pool, reconnect: false })) events.push(event)
  return events
}

function readWithPackage(): Promise<ServerEvent[]> {
  return new Promise((resolve) => {
    const events: ServerEvent[] = []
    const source = new EventSource(originUrl())
    for (const name of TYPES) {
      source.addEventListener(name, ({ type, data, lastEventId }) => {
        events.push({ type, data: data as string, lastEventId })
      })
    }
    // The end of the response, after which it would connect again.
    source.addEventListener('error', () => {
      source.close()
      resolve(events)
    })
  })
}

test('eventSource() finds the same events in a stream as the package eventsource', async () => {
  await using pool = new ConnectionPool()
  let found = 0

  await fc.assert(
    fc.asyncProperty(streams, async (pieces) => {
      play(pieces)
      const events = await readWithFerry(pool)
      found += events.length
      expect(events).toEqual(await readWithPackage())
    }),
    { numRuns: 300 },
  )

  expect(found).toBeGreaterThan(1000)
})

test.each([
  // HTML §9.2.5: `stream = [ bom ] *event`; a second mark is part of the name of the first field. The
  // package has the decoder strip one, and its parser the other.
  ['a second byte order mark', '\uFEFF\uFEFFdata: a\n\ndata: b\n\n'],
  // HTML §9.2.5: these are three characters, U+00EF U+00BB U+00BF, and no mark. The parser, which does
  // not know whether its text has been decoded, takes them for the bytes of one.
  ['characters that look like one', 'ï»¿data: a\n\ndata: b\n\n'],
])('eventSource() follows the standard where the package does not: %s', async (_name, text) => {
  await using pool = new ConnectionPool()
  play([Buffer.from(text)])

  expect((await readWithFerry(pool)).map(({ data }) => data)).toEqual(['b'])
  expect((await readWithPackage()).map(({ data }) => data)).toEqual(['a', 'b'])
})

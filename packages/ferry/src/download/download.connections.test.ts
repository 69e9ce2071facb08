/** Further connections that go wrong while the first is fine. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { HttpClient } from '../client/http-client.ts'
import { systemClock } from '../clock.ts'
import { hastyClock } from '../testing/download-fixture.ts'
import { download } from './download.ts'
import type { DownloadEvent, DownloadResult } from './download-options.ts'

const CONTENT = randomBytes(2_000_000)
// Such that the first is far from its end when the time for an answer to others is over.
const BYTES_PER_SECOND = 600_000
const PACE_MS = 10

/** Answers request number `index`, honestly or not. */
type Answer = (index: number, request: IncomingMessage, response: ServerResponse) => unknown

/** Serves the range asked for, or all, at a steady speed. */
async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const match = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '')
  const first = Number(match?.[1] ?? 0)
  const last = Number(match?.[2] ?? CONTENT.length - 1)
  response.writeHead(match === null ? 200 : 206, {
    ETag: '"v1"',
    'Content-Length': last + 1 - first,
    ...(match === null ? {} : { 'Content-Range': `bytes ${first}-${last}/${CONTENT.length}` }),
  })
  const piece = (BYTES_PER_SECOND * PACE_MS) / 1000
  for (let at = first; at <= last && !response.destroyed; at += piece) {
    response.write(CONTENT.subarray(at, Math.min(at + piece, last + 1)))
    await pause(PACE_MS)
  }
  response.end()
}

/** Downloads over several connections; gives what came and what was told of. */
async function fetchFrom(
  answer: Answer,
  { headersTimeoutMs = 1000, maxConnections = 4, clock = hastyClock } = {},
): Promise<{ result: DownloadResult; content: Buffer; events: DownloadEvent[]; requests: number }> {
  let requests = 0
  const server = createServer((request, response) => void answer(requests++, request, response))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const folder = await mkdtemp(join(tmpdir(), 'ferry-connections-'))
  await using client = new HttpClient({ headersTimeoutMs, clock: hastyClock })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/file.bin`
  const events: DownloadEvent[] = []
  try {
    const result = await download(url, join(folder, 'file.bin'), {
      client,
      clock,
      maxConnections,
      maxRetries: 20,
      onEvent: (event) => event.type !== 'state' && events.push(event),
    }).result
    return { result, content: await readFile(result.path), events, requests }
  } finally {
    server.closeAllConnections()
    server.close()
    await rm(folder, { recursive: true })
  }
}

const wrongs: readonly [string, (request: IncomingMessage, response: ServerResponse) => unknown][] =
  [
    ['get no answer', () => {}],
    ['get no HTTP', ({ socket }) => socket.end('Too many connections\r\n')],
    ['are reset', ({ socket }) => socket.resetAndDestroy()],
    ['are refused', (_, response) => response.writeHead(403).end()],
    [
      'lead to another version',
      (_, response) => response.writeHead(200, { ETag: '"other"' }).end(CONTENT),
    ],
  ]

test.concurrent.each(wrongs)(
  'download() goes on with one connection where others %s',
  async (what, wrong) => {
    let isServing = false
    const { content, events, requests, result } = await fetchFrom(async (_, request, response) => {
      if (isServing) return wrong(request, response)
      isServing = true
      response.on('close', () => (isServing = false))
      return serve(request, response)
    })

    expect(content.equals(CONTENT)).toBe(true)
    expect(requests).toBeGreaterThan(1)
    // Who waits for an answer may be the last one, and has to ask again.
    const mayRetry = what === 'get no answer'
    expect(events.filter(({ type }) => type !== 'retry' || !mayRetry)).toEqual([])
    expect(result.fetchedBytes).toBe(CONTENT.length)
  },
)

test('download() goes on when a further connection is refused while the first asks for its next range', async () => {
  const asked = Promise.withResolvers<void>()

  const answer: Answer = async (index, request, response) => {
    if (index === 1) {
      await asked.promise
      response.writeHead(403).end()
      return
    }
    if (index === 2) {
      asked.resolve()
      await pause(50)
    }
    await serve(request, response)
  }

  const { content, requests } = await fetchFrom(answer, { headersTimeoutMs: 100_000 })

  expect(content.equals(CONTENT)).toBe(true)
  expect(requests).toBeGreaterThan(2)
})

test('download() takes a refusal seriously once no connection delivers', async () => {
  await expect(
    fetchFrom((index, request, response) => {
      if (index > 0) return response.writeHead(403).end()
      setTimeout(() => request.socket.destroy(), 300)
      return serve(request, response)
    }),
  ).rejects.toMatchObject({ code: 'http-status', status: 403 })
})

test('download() keeps both connections that an outage loses at once', async () => {
  let state: 'fine' | 'ending' | 'out' | 'back' = 'fine'
  const open = new Set<ServerResponse>()
  const asking: ServerResponse[] = []
  const resetAll = (responses: Iterable<ServerResponse>): void => {
    for (const { socket } of responses) socket?.resetAndDestroy()
  }

  const { content, events } = await fetchFrom(
    async (_, request, response) => {
      open.add(response)
      response.on('close', () => open.delete(response))
      if (state === 'fine' && open.size === 2) {
        state = 'ending'
        // Both have brought something by then.
        setTimeout(() => {
          state = 'out'
          resetAll(open)
        }, 60)
      }
      if (state === 'out') {
        // Both wait for an answer, and are lost at once.
        if (asking.push(response) < 2) return
        state = 'back'
        resetAll(asking)
      } else {
        await serve(request, response)
      }
    },
    // In haste, the second could be found useless before the outage.
    { headersTimeoutMs: 100_000, maxConnections: 2, clock: systemClock },
  )

  expect(content.equals(CONTENT)).toBe(true)
  const secondTries = events.filter((event) => event.type === 'retry' && event.attempt === 2)
  expect(secondTries).toHaveLength(2)
})

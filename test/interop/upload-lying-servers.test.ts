/** Our sending side with servers that say what cannot be, or fail in ways that ours does not. */
import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import {
  type Upload,
  upload,
  type UploadEvent,
  type UploadOptions,
} from '../../packages/ferry/src/upload/index.ts'

const CONTENT = randomBytes(400_000)
const TUS = { 'Tus-Resumable': '1.0.0' }

/** What a request came with, and its content read to the end. */
interface Received {
  readonly method: string
  readonly fields: IncomingMessage['headers']
  readonly content: Buffer
}

type Answer = readonly [status: number, fields?: Record<string, string>, body?: string]

/** Answers each request with what a function makes of it. */
async function openServer(
  answer: (received: Received, response: ServerResponse) => Answer | undefined,
): Promise<{ readonly url: string; readonly log: Received[] }> {
  const log: Received[] = []
  const server = createServer((request, response) => {
    const pieces: Buffer[] = []
    request.on('error', () => {})
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      const { method = '', headers: fields } = request
      const received = { method, fields, content: Buffer.concat(pieces) }
      log.push(received)
      const told = answer(received, response)
      if (told !== undefined) response.writeHead(told[0], told[1]).end(told[2])
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/files`, log }
}

/** A server of tus whose answers to content are made by a test; `taken` is what it has. */
async function openTus(
  onPatch: (received: Received, taken: number) => Answer,
  onHead: (taken: number) => number = (taken) => taken,
): ReturnType<typeof openServer> {
  let taken = 0
  return await openServer(({ method, content, ...rest }) => {
    if (method === 'POST') return [201, { ...TUS, Location: 'files/1' }]
    if (method === 'HEAD') {
      return [200, { ...TUS, 'Upload-Offset': String(onHead(taken)), 'Upload-Length': '400000' }]
    }
    const answer = onPatch({ method, content, ...rest }, taken)
    if (answer[0] === 204) taken = Number(answer[1]?.['Upload-Offset'])
    return answer
  })
}

function offset(bytes: number): Answer {
  return [204, { ...TUS, 'Upload-Offset': String(bytes) }]
}

function send(url: string, options: UploadOptions = {}): Upload {
  return upload(CONTENT, url, { protocol: 'tus', name: 'a.bin', retryDelayMs: 1, ...options })
}

test('upload() does not believe a server that claims more than the source has', async () => {
  const { url } = await openTus(() => offset(400_001))

  await expect(send(url).result).rejects.toMatchObject({ code: 'remote-protocol' })
})

test('upload() does not believe a server that claims more than was sent', async () => {
  const { url } = await openTus(({ content }) => offset(content.length + 1))

  const { result } = send(url, { chunkBytes: 100_000 })

  await expect(result).rejects.toMatchObject({ code: 'remote-protocol' })
})

test('upload() does not believe a server that expects another length', async () => {
  const { url } = await openServer(({ method }) =>
    method === 'POST'
      ? [201, { ...TUS, Location: '/files/1' }]
      : method === 'HEAD'
        ? [200, { ...TUS, 'Upload-Offset': '0', 'Upload-Length': '5' }]
        : [503, TUS],
  )

  await expect(send(url).result).rejects.toMatchObject({ code: 'remote-protocol' })
})

test('upload() sends again what a server has lost, and says so', async () => {
  let hasLost = false
  const events: UploadEvent[] = []
  const { url, log } = await openTus(
    ({ fields, content }) => {
      const start = Number(fields['upload-offset'])
      if (start !== 200_000 || hasLost) return offset(start + content.length)
      hasLost = true
      return [500, TUS]
    },
    () => 50_000,
  )

  await send(url, { chunkBytes: 100_000, onEvent: (event) => events.push(event) }).result

  expect(events).toContainEqual({ type: 'rewound', from: 200_000, to: 50_000 })
  const file = Buffer.alloc(400_000)
  for (const { method, fields, content } of log) {
    if (method === 'PATCH') content.copy(file, Number(fields['upload-offset']))
  }
  expect(file.equals(CONTENT)).toBe(true)
})

test('upload() gives up on a server that never takes anything', async () => {
  const { url } = await openTus((_, taken) => offset(taken))

  const { result } = send(url, { maxRetries: 3 })

  await expect(result).rejects.toMatchObject({ code: 'connection-lost' })
})

test('upload() sends a piece again whose checksum did not fit, but not for ever', async () => {
  const options = { checksum: true, chunkBytes: 200_000 }
  let refusals = 1
  const { url, log } = await openServer(({ method, fields, content }) => {
    if (method === 'OPTIONS') {
      const extension = { 'Tus-Extension': 'creation,checksum', 'Tus-Checksum-Algorithm': 'sha1' }
      return [204, { ...TUS, 'Tus-Version': '1.0.0', ...extension }]
    }
    if (method === 'POST') return [201, { ...TUS, Location: '/files/1' }]
    if (method === 'HEAD') return [200, { ...TUS, 'Upload-Offset': '0' }]
    if (refusals-- > 0) return [460, TUS]
    return offset(Number(fields['upload-offset']) + content.length)
  })

  await send(url, options).result
  expect(log.filter(({ method }) => method === 'PATCH').length).toBe(3)
  expect(log.at(-1)?.fields['upload-checksum']).toMatch(/^sha1 [A-Za-z0-9+/]{27}=$/)
  refusals = Infinity
  await expect(send(url, options).result).rejects.toMatchObject({ code: 'checksum-mismatch' })
})

test('upload() sends smaller pieces where they are too large', async () => {
  const { url, log } = await openTus(({ fields, content }) =>
    content.length > 300_000
      ? [413, TUS]
      : offset(Number(fields['upload-offset']) + content.length),
  )

  await send(url).result

  const lengths = log.flatMap(({ method, content }) => (method === 'PATCH' ? content.length : []))
  expect(lengths).toEqual([400_000, 262_144, 137_856])
})

test('upload() by the draft keeps to the size that a server names', async () => {
  let taken = 0
  const { url, log } = await openServer(({ method, content, fields }) => {
    const limit = { 'Upload-Limit': 'max-append-size=150000' }
    if (method === 'POST') return [201, { ...limit, Location: '/files/1' }]
    taken = Number(fields['upload-offset']) + content.length
    const isComplete = fields['upload-complete'] as string
    return [200, { ...limit, 'Upload-Complete': isComplete, 'Upload-Offset': String(taken) }]
  })

  await send(url, { protocol: 'ietf' }).result

  expect(log.slice(1).map(({ content }) => content.length)).toEqual([150_000, 150_000, 100_000])
  expect(log.map(({ fields }) => fields['upload-complete'])).toEqual(['?0', '?0', '?0', '?1'])
})

test('upload() refuses at once what is larger than a server takes', async () => {
  const { url } = await openServer(({ method }) =>
    method === 'OPTIONS'
      ? [204, { ...TUS, 'Tus-Version': '1.0.0', 'Tus-Max-Size': '399999' }]
      : [500],
  )

  const { result } = send(url, { protocol: undefined })

  await expect(result).rejects.toMatchObject({
    code: 'upload-too-large',
    detail: { maxBytes: 399_999 },
  })
})

test.each([429, 503])(
  'upload() waits as long as a server asks with %i, however often',
  async (status) => {
    let refusals = 4
    const { url } = await openTus(({ content }) =>
      refusals-- > 0 ? [status, { ...TUS, 'Retry-After': '0' }] : offset(content.length),
    )

    await expect(send(url, { maxRetries: 0 }).result).resolves.toMatchObject({ size: 400_000 })
  },
)

test('upload() by the draft takes the URL from the interim response', async () => {
  const heads: string[] = []
  let taken = 0
  const { url, log } = await openServer(({ method, content }, response) => {
    heads.push(method)
    if (method === 'POST') {
      response.writeInformation(104, {
        'Upload-Draft-Interop-Version': '9',
        Location: '/files/1',
      })
      taken = 150_000
      // Half of it is kept, and the answer never comes.
      setTimeout(() => response.socket?.destroy(), 5)
      return undefined
    }
    if (method === 'HEAD') {
      return [204, { 'Upload-Offset': String(taken), 'Upload-Complete': '?0' }]
    }
    taken += content.length
    return [201, { 'Upload-Complete': '?1', 'Upload-Offset': String(taken) }]
  })

  await send(url, { protocol: 'ietf', createWithContent: true }).result

  expect(heads).toEqual(['POST', 'HEAD', 'PATCH'])
  expect(log.at(-1)?.content.equals(CONTENT.subarray(150_000))).toBe(true)
})

test.each(['tus', 'ietf'] as const)(
  'upload() by %s is in doubt when the answer to content is lost before its URL',
  async (protocol) => {
    const { url } = await openServer(({ method }, response) => {
      if (method === 'OPTIONS') {
        return [204, { ...TUS, 'Tus-Version': '1.0.0', 'Tus-Extension': 'creation-with-upload' }]
      }
      response.socket?.destroy()
      return undefined
    })

    const { result } = send(url, { protocol, createWithContent: true })

    await expect(result).rejects.toMatchObject({ code: 'delivery-in-doubt' })
  },
)

test('upload() follows a redirection that keeps the request, and takes no secret to another origin', async () => {
  const other = await openTus(({ content }) => offset(content.length))
  const { url, log } = await openServer(() => [308, { Location: other.url }])

  await send(url, {
    headers: { 'X-Api-Key': 'secret', 'X-Note': 'a' },
    credentials: () => ({ Authorization: 'Bearer secret' }),
  }).result

  expect(log.map(({ method }) => method)).toEqual(['POST'])
  expect(log[0]?.fields).toMatchObject({ authorization: 'Bearer secret', 'x-api-key': 'secret' })
  for (const { fields } of other.log) {
    expect(fields).toMatchObject({ 'x-note': 'a' })
    expect(JSON.stringify(fields)).not.toContain('secret')
  }
  expect(other.log.map(({ method }) => method)).toEqual(['POST', 'PATCH'])
})

test.each([301, 302, 303])(
  'upload() does not follow a redirection with %i, which would lose the content',
  async (status) => {
    const { url } = await openServer(() => [status, { Location: '/elsewhere' }])

    await expect(send(url).result).rejects.toMatchObject({ code: 'http-status', status })
  },
)

/** A server of IndexedCP that knows ids: what becomes of chunks is up to a test. */
async function openIdentified(
  onChunk: (received: Received, response: ServerResponse) => Answer | undefined,
  status: () => Answer,
): Promise<string> {
  const { url } = await openServer((received, response) =>
    received.method === 'GET' ? status() : onChunk(received, response),
  )
  return url.replace(/files$/, 'upload')
}

const UNKNOWN: Answer = [404, {}, '{"error":"Upload not found"}']

function facts(complete: boolean, received = 400_000): Answer {
  const told = { uploadId: 'x', offset: received, size: 400_000, complete }
  return [200, {}, JSON.stringify({ filename: 'a.bin', actualFilename: 'a.bin', ...told })]
}

test('upload() takes a refusal after everything has arrived for what it is', async () => {
  let chunks = 0
  const url = await openIdentified(
    (_, response) => {
      if (chunks++ > 0) return [403]
      response.socket?.destroy()
      return undefined
    },
    () => (chunks === 0 ? UNKNOWN : facts(true)),
  )

  const sent = await send(url, { protocol: 'indexedcp' }).result

  expect(sent.remoteName).toBe('a.bin')
  expect(chunks).toBe(2)
})

test('upload() asks for credentials once for all requests that were refused together', async () => {
  const held: ServerResponse[] = []
  const asked: boolean[] = []
  let bytes = 0
  const url = await openIdentified(
    ({ fields, content }, response) => {
      if (fields.authorization === 'new') {
        bytes += content.length
        return facts(bytes === 400_000, bytes)
      }
      // Each is refused when all have come.
      held.push(response)
      if (held.length === 4) for (const one of held) one.writeHead(401).end()
      return undefined
    },
    () => UNKNOWN,
  )

  await send(url, {
    protocol: 'indexedcp',
    chunkBytes: 100_000,
    parallel: 4,
    credentials: ({ refused }) => {
      asked.push(refused)
      return { Authorization: refused ? 'new' : 'old' }
    },
  }).result

  expect(asked).toEqual([false, true])
  expect(held.length).toBe(4)
})

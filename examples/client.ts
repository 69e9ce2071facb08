/** A client of an API: base URL, fields, formats, what a call may say for itself, and errors. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { HttpClient } from 'ferry/client'
import { isFerryError, NetworkError } from 'ferry/errors'

await using server = createServer((request, response) => void answer(request, response))
await once(server.listen(0, '127.0.0.1'), 'listening')
const { port } = server.address() as AddressInfo

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, url = '', headers } = request
  if (url === '/v1/users/404') {
    response.writeHead(404).end('no such user')
    return
  }
  const sent = await text(request)
  response.setHeader('Content-Type', 'application/json')
  response.end(
    JSON.stringify({ method, url, who: headers.authorization, custom: headers['x-custom'], sent }),
  )
}

interface Answer {
  readonly method: string
  readonly url: string
  readonly who: string
  readonly custom?: string
  readonly sent: string
}

await using client = new HttpClient({
  baseUrl: `http://127.0.0.1:${port}/v1`,
  headers: { Authorization: 'Bearer token' },
  timeoutMs: 30_000,
  retries: 3,
  retryDelayMs: 1000,
  maxRateLimit: 100,
})

// JSON is the format unless the client or the call says otherwise.
const users = await client.get<Answer>('/users', { params: { page: 2, tag: ['a', 'b'] } })
console.log(users.method, users.url, users.who)

const created = await client.post<Answer>('/users', {
  json: { name: 'John Doe' },
  headers: { 'X-Custom': 'value', Authorization: 'Bearer another' },
})
console.log(created.method, created.sent, created.custom, created.who)

const plain = await client.get('/status', { responseFormat: 'text' })
console.log(typeof plain, plain.length > 0)

const changed = await client.put<Answer>('/items/123', {
  json: { status: 'active' },
  retries: 5,
  retryDelayMs: 2000,
})
console.log(changed.method, changed.url)

// Status and fields are there as well, whatever the format.
const call = client.get<Answer>('/users')
const { status, headers } = await call.response
console.log(status, headers.get('content-type'), (await call).url)

try {
  await client.get('/users/404')
} catch (error) {
  if (!(error instanceof NetworkError)) throw error
  console.log(error.message.replace(String(port), 'PORT'))
}

// A whole address stands by itself; nobody is there.
try {
  await client.get('http://127.0.0.1:1/', { retries: 1, retryDelayMs: 1 })
} catch (error) {
  if (!(error instanceof NetworkError)) throw error
  console.log(isFerryError(error, 'connect-failed'), error.attempts, error.cause instanceof Error)
}

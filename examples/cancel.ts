/** Gives requests up: while they wait, while they are sent, while they are read. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConnectionPool, HttpRequest } from 'ferry/transport'

await using server = createServer((request, response) => {
  request.resume()
  if (request.url === '/endless') {
    const timer = setInterval(() => response.write('tick\n'), 10)
    response.on('close', () => clearInterval(timer))
  }
  if (request.url === '/ok') response.end('ok')
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
await using client = new ConnectionPool()

// Before the response: the promise rejects with the signal's own reason.
const controller = new AbortController()
const pending = client.request(new HttpRequest('GET', `${origin}/never`), {
  signal: controller.signal,
})
controller.abort(new Error('not wanted any more'))
await pending.catch((error: Error) => console.log(`request: ${error.message}`))

// A signal with a limit of its own does not differ.
const late = client.request(new HttpRequest('GET', `${origin}/never`), {
  signal: AbortSignal.timeout(50),
})
await late.catch((error: Error) => console.log(`request: ${error.name}`))

// While content is sent: its source is closed.
const uploading = new AbortController()
const upload = new HttpRequest('POST', `${origin}/never`, { content: generatePieces(uploading) })
await client
  .request(upload, { signal: uploading.signal })
  .catch((error: Error) => console.log(`upload: ${error.message}`))

// While content is read: the same signal ends the reading.
const reading = new AbortController()
const { body } = await client.request(new HttpRequest('GET', `${origin}/endless`), {
  signal: reading.signal,
})
try {
  for await (const _ of body) reading.abort(new Error('seen enough'))
} catch (error) {
  console.log(`body: ${(error as Error).message}`)
}

// Each of them has cost its connection; the pool opens another one.
const response = await client.request(new HttpRequest('GET', `${origin}/ok`))
console.log((await response.body.bytes()).toString())
const { created, closed, idle } = client.metrics()
console.log(`connections: ${idle} idle, ${created - closed - idle} others`)

async function* generatePieces(controller: AbortController): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      yield Buffer.alloc(100_000)
      await Promise.resolve()
      controller.abort(new Error('changed my mind'))
    }
  } finally {
    console.log('upload: source closed')
  }
}

/** The platform's fetch on a client: its requests and responses on our connections. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { createFetch, HttpClient } from 'ferry/client'

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, url, headers } = request
  if (url === '/old') response.writeHead(308, { Location: '/new' }).end()
  else if (url === '/endless') response.write('tick\n'.repeat(1000))
  else if (url !== '/silent') {
    response.end(`${method} ${url}: ${String(headers['x-app'])}, ${await text(request)}`)
  }
}

await using server = createServer((request, response) => void serve(request, response))
await once(server.listen(0, '127.0.0.1'), 'listening')
const { port } = server.address() as AddressInfo

await using client = new HttpClient({
  baseUrl: `http://127.0.0.1:${port}`,
  headers: { 'X-App': 'ferry-example' },
})
const fetch = createFetch(client)

const moved = await fetch('/old', { method: 'PUT', body: new URLSearchParams('a=1') })
console.log(`${moved.status}, redirected: ${moved.redirected}, to ${new URL(moved.url).pathname}`)
console.log(await moved.text())

// Leaving the loop cancels the stream and gives its connection up.
const endless = await fetch('/endless')
let lines = 0
for await (const piece of endless.body?.pipeThrough(new TextDecoderStream()) ?? []) {
  lines += piece.split('\n').length - 1
  if (lines >= 3) break
}
console.log(`enough after three lines: ${lines >= 3}`)

const controller = new AbortController()
const waiting = fetch('/silent', { signal: controller.signal })
controller.abort('not wanted any more')
console.log(await waiting.catch((reason: unknown) => reason))

// One that may take the place of the platform's, for a library that takes a fetch, say.
const patient = createFetch(client, { retries: 3, retryDelayMs: 1, timeoutMs: 5000 })
const refused = await patient('http://127.0.0.1:1/').catch((error: Error) => error)
console.log(refused instanceof TypeError, 'message' in refused ? refused.message.split(',')[0] : '')
console.log(await (await patient('data:text/plain,not%20even%20a%20connection')).text())

/** Lets each limit of time run out; `phase` tells which it was. */
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { TimeoutError } from 'ferry/errors'
import {
  ConnectionPool,
  type ConnectionPoolOptions,
  HttpRequest,
  type HttpResponse,
} from 'ferry/transport'

// Accepts connections and says nothing: a TLS handshake with it never ends.
await using silent = createServer((socket) => socket.resume().on('error', () => socket.destroy()))
const silentPort = await listen(silent)

await using server = createHttpServer((request, response) => {
  if (request.url === '/no-head') return
  response.writeHead(200, { 'Content-Length': 1000 })
  if (request.url === '/stalls') response.write('the beginning')
  if (request.url === '/drips') {
    const timer = setInterval(() => response.write('.'), 10)
    response.on('close', () => clearInterval(timer))
  }
})
const origin = `http://127.0.0.1:${await listen(server)}`

await expectTimeout(`https://127.0.0.1:${silentPort}/`, { connectTimeoutMs: 100 })
await expectTimeout(`${origin}/no-head`, { headersTimeoutMs: 100 })
await expectTimeout(`${origin}/stalls`, { bodyTimeoutMs: 100 })
// Each piece comes in time, all together they do not.
await expectTimeout(`${origin}/drips`, { bodyTimeoutMs: 5000, totalTimeoutMs: 300 })

// The only connection is taken, so the second request waits for it, but not for ever.
await using client = new ConnectionPool({ maxConnectionsPerOrigin: 1, poolTimeoutMs: 300 })
const holder = await client.request(new HttpRequest('GET', `${origin}/drips`))
await tellTimeout(client.request(new HttpRequest('GET', `${origin}/waits`)))
holder.body.cancel()

async function expectTimeout(url: string, options: ConnectionPoolOptions): Promise<void> {
  await using pool = new ConnectionPool(options)
  await tellTimeout(pool.request(new HttpRequest('GET', url)))
}

async function tellTimeout(pending: Promise<HttpResponse>): Promise<void> {
  try {
    const response = await pending
    await response.body.bytes()
    console.log('in time')
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error
    console.log(`${error.phase}: ${error.message.replace(/:\d{4,}/g, ':PORT')}`)
  }
}

async function listen(server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

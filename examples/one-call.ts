/** Requests without a client of one's own: what a script of a few lines needs. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { isFerryError } from 'ferry/errors'
import { del, get, head, options, patch, post, put } from 'ferry/client'

const items = new Map([['1', '{"name":"file.zip"}']])

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, search } = new URL(request.url ?? '', 'http://server')
  const id = pathname.slice('/items/'.length)
  const content = await text(request)
  response.setHeader('Content-Type', 'application/json').setHeader('X-Query', search)
  if (request.method === 'DELETE') items.delete(id)
  else if (content !== '') items.set(id, content)
  if (request.method === 'OPTIONS') response.setHeader('Allow', 'GET, PUT, DELETE')
  const item = items.get(id)
  response.statusCode = request.method === 'DELETE' ? 204 : item === undefined ? 404 : 200
  response.end(item ?? '{"error":"no such item"}')
}

await using server = createServer((request, response) => void serve(request, response))
await once(server.listen(0, '127.0.0.1'), 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/items`

// The content has been read: it can be asked for again and again.
const item = await get(`${url}/1`, { params: { page: 1 } })
console.log(`${item.statusCode} ${item.ok}, ${item.headers.get('x-query')}`)
console.log(await item.text(), await item.json())

console.log((await post(`${url}/2`, { json: { name: 'a.bin' } })).status)
console.log((await put(`${url}/2`, { form: { name: 'b.bin' } })).status)
const patched = await patch(`${url}/2`, { body: '{"size":3}', headers: { 'X-Reason': 'grown' } })
console.log(await patched.json())
console.log((await head(`${url}/2`)).headers.get('content-type'))
console.log((await options(`${url}/2`)).headers.get('allow'))
console.log((await del(`${url}/2`)).status)

// A status is no error until it is asked about.
const missing = await get(`${url}/2`)
console.log(`${missing.status} ${missing.ok}`)
try {
  missing.raiseForStatus()
} catch (error) {
  if (!isFerryError(error, 'http-status')) throw error
  console.log(error.message.replace(url, '…'))
}
// The connection is kept for the next request and does not keep the program alive: nobody closes it.

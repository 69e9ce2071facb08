/** Makes a request, sends it through a pool of connections, and reads the response. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConnectionPool, HttpRequest } from 'ferry/transport'

await using server = createServer((request, response) => {
  const { method, url, headers } = request
  response.setHeader('Content-Type', 'application/json')
  response.end(JSON.stringify({ method, url, agent: headers['user-agent'] }))
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const { port } = server.address() as AddressInfo

await using client = new ConnectionPool()
const request = HttpRequest.create({
  method: 'GET',
  url: `http://127.0.0.1:${port}/get?name=ferry#not-sent`,
  headers: [['User-Agent', 'ferry-example/1.0']],
})
const response = await client.request(request)
const content = await response.body.bytes()

console.log(`${response.status} ${response.statusText}`)
console.log(`Content-Type: ${response.headers.get('content-type')}`)
console.log(content.toString())

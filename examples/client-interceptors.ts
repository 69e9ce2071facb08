/** Interceptors: see every request and response of a client, and change them. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { HttpClient, type Interceptor } from 'ferry/client'

await using server = createServer(({ url, headers }, response) => {
  if (url === '/missing') response.writeHead(404).end()
  else response.end(JSON.stringify({ url, who: headers.authorization }))
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const { port } = server.address() as AddressInfo

/** Logs all requests and responses, those with an error status too. */
const logging: Interceptor = {
  preRequest: ({ method, url }) => console.log(`Making ${method} request to ${url.target}`),
  postResponse: ({ status }) => console.log(`Got response with status ${status}`),
}

/** Adds authentication to all requests. */
function authenticate(token: string): Interceptor {
  return { preRequest: (request) => request.withHeader('Authorization', `Bearer ${token}`) }
}

/** Has an answer for what the server does not know. */
const fallback: Interceptor = {
  async postResponse(response, request, context) {
    if (response.status !== 404) return undefined
    response.body.cancel()
    return context.send(request.withUrl(new URL('/instead', request.url.href)))
  },
}

await using client = new HttpClient({
  baseUrl: `http://127.0.0.1:${port}`,
  interceptors: [logging, authenticate('secret'), fallback],
})
console.log(await client.get('/users'))
console.log(await client.get('/missing'))

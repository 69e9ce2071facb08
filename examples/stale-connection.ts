/** Meets a server that closes a kept connection just as the next request is sent. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { isFerryError } from 'ferry/errors'
import { ConnectionPool, HttpRequest } from 'ferry/transport'

// Answers the first request of each connection and hangs up on the second.
await using server = createServer((socket) => {
  let requests = 0
  socket.on('data', () => {
    requests++
    if (requests > 1) socket.destroy()
    else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
await using client = new ConnectionPool()

// The second GET is sent twice, as it may be: nothing came back, and twice is as good as once.
for (const method of ['GET', 'GET', 'POST']) {
  try {
    const response = await client.request(new HttpRequest(method, url))
    await response.body.bytes()
    console.log(`${method}: ${response.status} on connection ${response.connection?.id}`)
  } catch (error) {
    // Whether the server has acted upon it nobody knows, so the caller decides.
    if (!isFerryError(error, 'connection-lost')) throw error
    console.log(`${method}: ${error.code}`)
  }
}

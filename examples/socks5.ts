/** Goes through a SOCKS 5 proxy that resolves the names, as Tor and `ssh -D` do. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, createServer as createProxy, type Socket } from 'node:net'
import { ConnectionPool, HttpRequest } from 'ferry/transport'

await using server = createServer((request, response) =>
  response.end(`for ${request.headers.host}`),
)
await once(server.listen(0, '127.0.0.1'), 'listening')
const { port: serverPort } = server.address() as AddressInfo

// A proxy for this example only: no authentication, names only, and all of them are our server.
await using proxy = createProxy((socket) => void serve(socket).catch(() => socket.destroy()))
await once(proxy.listen(0, '127.0.0.1'), 'listening')

await using client = new ConnectionPool({
  // With `socks5:` the name would be resolved here, and the proxy be given the address.
  proxy: `socks5h://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
})
const response = await client.request(new HttpRequest('GET', 'http://files.example/'))
console.log(`${response.status} ${(await response.body.bytes()).toString()}`)

/** RFC 1928 §3 to §6, as far as a message comes in one piece. */
async function serve(socket: Socket): Promise<void> {
  const [greeting] = (await once(socket, 'data')) as [Buffer]
  console.log(`methods offered: ${[...greeting.subarray(2)].join(' ')}`)
  socket.write(Buffer.from([5, 0]))
  const [request] = (await once(socket, 'data')) as [Buffer]
  const nameLength = request[4] ?? 0
  const name = request.subarray(5, 5 + nameLength).toString()
  console.log(`asked for ${name}, port ${request.readUInt16BE(5 + nameLength)}`)
  const onward = connect(serverPort, '127.0.0.1')
  await once(onward, 'connect')
  socket.write(Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 0]))
  onward.pipe(socket).pipe(onward)
}

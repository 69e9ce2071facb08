/** Talks HTTP over a Unix domain socket, as to a container runtime. */
import { once } from 'node:events'
import { mkdtempDisposable } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConnectionPool, HttpRequest } from 'ferry/transport'

await using folder = await mkdtempDisposable(join(tmpdir(), 'ferry-example-'))
const socketPath = join(folder.path, 'engine.sock')
await using server = createServer((request, response) => {
  response.end(`${request.headers.host} gives ${request.url}`)
})
await once(server.listen(socketPath), 'listening')

// Every connection of this pool goes to the socket; the URL only names host and target.
await using client = new ConnectionPool({ socketPath })
const response = await client.request(new HttpRequest('GET', 'http://engine.example/version'))
console.log((await response.body.bytes()).toString())
const peer = response.connection?.getExtraInfo('peer')
console.log(`peer is the socket: ${peer?.address === socketPath}, port ${peer?.port}`)

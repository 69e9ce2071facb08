/** The server of the WebSocket benchmark: sends back each message. Prints its port once it listens. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false })
server.on('connection', (socket) => {
  socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary }))
})
await once(server, 'listening')
process.stdout.write(`${(server.address() as AddressInfo).port}\n`)

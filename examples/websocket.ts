/** Talks over a WebSocket: messages of both kinds, one in pieces, a ping, a close, and a refusal. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { isFerryError } from 'ferry/errors'
import { connectWebSocket } from 'ferry/transport'
import { WebSocketServer } from 'ws'

// Shouts back what it hears, counts bytes, and leaves when it is told goodbye.
await using server = listen()
await once(server.sockets, 'listening')
const url = `ws://127.0.0.1:${(server.sockets.address() as AddressInfo).port}`

await using socket = await connectWebSocket(`${url}/chat`, { protocols: ['shout', 'whisper'] })
console.log(`${socket.head.status}, subprotocol ${socket.protocol}`)

await socket.send('hello')
await socket.send(Buffer.from([1, 2, 3]))
await socket.send(words())
console.log(`ping answered: ${(await socket.ping()) >= 0}`)
await socket.send('goodbye')
for await (const message of socket) {
  console.log(typeof message === 'string' ? message : `${message.length} bytes`)
}
// The loop has ended, since the server has closed.
const { code, reason, wasClean } = await socket.closed
console.log(`${code} ${reason}, clean: ${wasClean}`)

try {
  await using other = await connectWebSocket(`${url}/elsewhere`)
  console.log(`not reached: ${other.state}`)
} catch (error) {
  if (isFerryError(error, 'http-status')) console.log(error.message.replace(url.slice(5), 'server'))
}

/** One message that goes out as it is made, each piece in a frame of its own. */
async function* words(): AsyncGenerator<string> {
  for (const word of ['in ', 'pieces']) yield await Promise.resolve(word)
}

function listen(): AsyncDisposable & { readonly sockets: WebSocketServer } {
  const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1', path: '/chat' })
  sockets.on('connection', (peer) => {
    peer.on('message', (bytes: Buffer, isBinary) => {
      if (isBinary) peer.send(bytes)
      else if (bytes.toString() === 'goodbye') peer.close(4000, 'see you')
      else peer.send(bytes.toString().toUpperCase())
    })
  })
  return {
    sockets,
    [Symbol.asyncDispose]: () => new Promise((resolve) => sockets.close(() => resolve())),
  }
}

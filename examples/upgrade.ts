/** Switches a connection to another protocol: what a WebSocket library would build upon. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConnectionPool, HttpRequest, type NetworkStream } from 'ferry/transport'

const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout/1\r\n\r\n'

// The protocol `shout/1`: the server greets, then gives back every line in capitals.
await using server = createServer((_, response) => response.writeHead(426).end('shout/1 only'))
server.on('upgrade', (_, socket) => {
  // The greeting comes in one piece with the head; nothing of it is lost.
  socket.write(`${SWITCH}welcome\n`)
  socket.on('data', (bytes: Buffer) => socket.write(bytes.toString().toUpperCase()))
  socket.on('end', () => socket.end())
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
await using client = new ConnectionPool()

const request = new HttpRequest('GET', url, {
  headers: { Connection: 'Upgrade', Upgrade: 'shout/1' },
})
const outcome = await client.upgrade(request)
if (outcome.type === 'refused') throw new Error(`Refused with ${outcome.response.status}`)
console.log(`${outcome.head.status} ${outcome.head.headers.get('upgrade')}`)
console.log(`the pool: ${client.toString().replace(url.slice(0, -1), 'origin')}`)
await talk(outcome.stream)

// A server that does not switch sends a response like any other.
const plain = await client.upgrade(new HttpRequest('GET', url))
if (plain.type === 'refused') {
  const { status, body } = plain.response
  console.log(`${status} ${(await body.bytes()).toString()}`)
}

/** Says one line, prints what comes, and closes the stream, which is ours now. */
function talk(stream: NetworkStream): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = ''
    stream.read({
      onBytes(bytes) {
        text += bytes.toString()
        if (!text.includes('HELLO\n')) return
        console.log(text.trimEnd())
        stream.close()
        resolve()
      },
      onEnd: () => reject(new Error('The server said too little')),
      onError: reject,
    })
    stream.write('hello\n')
  })
}

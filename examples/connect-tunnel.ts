/** Asks a proxy for a tunnel by CONNECT and speaks a protocol of our own through it. */
import { once } from 'node:events'
import { createServer as createProxy } from 'node:http'
import { type AddressInfo, connect, createServer } from 'node:net'
import { ConnectionPool, HttpRequest, type NetworkStream } from 'ferry/transport'

// The far end: a server that knows no HTTP.
await using server = createServer((socket) => {
  socket.on('data', (bytes) => socket.end(`you said ${bytes.toString()}`))
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const target = `127.0.0.1:${(server.address() as AddressInfo).port}`

// The proxy opens a way to that server and to no other.
await using proxy = createProxy()
proxy.on('connect', (request, socket) => {
  if (request.url !== target) {
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nnot there')
    return
  }
  const onward = connect((server.address() as AddressInfo).port, '127.0.0.1', () => {
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
    onward.pipe(socket).pipe(onward)
  })
})
await once(proxy.listen(0, '127.0.0.1'), 'listening')
const proxyUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`

await using client = new ConnectionPool()
const outcome = await client.upgrade(new HttpRequest('CONNECT', proxyUrl, { target }))
if (outcome.type === 'upgraded') {
  console.log(`${outcome.head.status} ${outcome.head.statusText}`)
  console.log(await ask(outcome.stream, 'good morning'))
}

const elsewhere = new HttpRequest('CONNECT', proxyUrl, { target: 'example.org:25' })
const refusal = await client.upgrade(elsewhere)
if (refusal.type === 'refused') {
  const { status, body } = refusal.response
  console.log(`${status}: ${(await body.bytes()).toString()}`)
}

/** Sends some text and gives everything that comes until the peer ends. */
function ask(stream: NetworkStream, question: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    stream.read({
      onBytes: (bytes) => (answer += bytes.toString()),
      onEnd() {
        stream.close()
        resolve(answer)
      },
      onError: reject,
    })
    stream.write(question)
  })
}

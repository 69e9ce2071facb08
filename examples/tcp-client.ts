/** Speaks a protocol of lines and blocks over TCP: limits, a lost connection, TLS from the middle on. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { FerryError } from 'ferry/errors'
import { TcpClient } from 'ferry/transport'
import { createCertificate } from './support/certificates.ts'

const certificate = await createCertificate('IP:127.0.0.1')

// GET gives a length and that many bytes, HALF fewer than it has promised, WAIT nothing at all, BYE
// closes, STARTTLS goes on over TLS; everything else comes back in capitals.
function serve(socket: Socket): void {
  socket.on('error', () => {})
  socket.on('data', (bytes: Buffer) => {
    const line = bytes.toString().trimEnd()
    if (line === 'GET') socket.write('11\r\nlines\r\nhere')
    else if (line === 'HALF') socket.end('11\r\nlines')
    else if (line === 'BYE') socket.end('bye\r\n')
    else if (line === 'STARTTLS') {
      socket.removeAllListeners('data')
      socket.write('go ahead\r\n')
      serve(new TLSSocket(socket, { ...certificate, isServer: true }))
    } else if (line !== 'WAIT') socket.write(`${line.toUpperCase()}\r\n`)
  })
}

await using server = createServer(serve)
await once(server.listen(0, '127.0.0.1'), 'listening')
const { port } = server.address() as AddressInfo
const place = { host: '127.0.0.1', port }

await using client = new TcpClient({ ...place, reconnect: true })
await client.connect()
console.log(client.toString().replace(String(port), 'PORT'))

// Lines, and a block whose length comes before it.
await client.send('hello\r\n')
console.log(`line: ${await client.readLine()}`)
await client.send('GET\r\n')
const length = Number(await client.readLine())
console.log(`block: ${JSON.stringify((await client.readExactly(length)).toString())}`)

// A limit of time; the connection goes on.
await client.send('WAIT\r\n')
await report(client.readLine({ timeoutMs: 50 }))

// The server closes. The next send connects again, since this client was told to.
await client.send('BYE\r\n')
console.log(`line: ${await client.readLine()}, then ${await client.readLine()}`)
await client.send('again\r\n')
console.log(`line: ${await client.readLine()}`)

// Less than was promised: an error, and what had come is not lost.
await client.send('HALF\r\n')
await client.readLine()
await report(client.readExactly(11))
console.log(`left: ${(await client.receive()).toString()}`)

// TLS from here on.
await using second = new TcpClient(place)
await second.connect()
await second.send('STARTTLS\r\n')
console.log(`line: ${await second.readLine()}`)
await second.startTls({ ca: certificate.cert })
await second.send('secret\r\n')
const session = second.getExtraInfo('tls')
console.log(`line: ${await second.readLine()}, ${session?.version}, ${session?.authorized}`)

// A port that nobody listens on.
await second.close()
await client.close()
await server[Symbol.asyncDispose]()
const third = new TcpClient({ ...place, retries: 2, retryDelayMs: 10 })
await report(third.connect())

async function report(call: Promise<unknown>): Promise<void> {
  try {
    await call
  } catch (error) {
    if (!(error instanceof FerryError)) throw error
    console.log(`${error.code}: ${error.message.replaceAll(String(port), 'PORT')}`)
  }
}

/**
 * Sends a file in chunks of 1 MiB as an IndexedCP client does, one after another over one connection:
 * `receive-chunks-client.ts PORT COUNT NAME`. Tells the time from the first chunk to the last answer.
 *
 * On bare sockets, so that the client's own work is small.
 */
import { randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { MIB } from './support.ts'

const [port = '', count = '', name = ''] = process.argv.slice(2)
const chunk = randomFillSync(Buffer.alloc(MIB))
const socket = connect(Number(port), '127.0.0.1')
socket.setNoDelay(true)
await once(socket, 'connect')
const startedAt = performance.now()
for (let index = 0; index < Number(count); index++) await sendChunk(index)
process.stdout.write(JSON.stringify({ wallMs: performance.now() - startedAt }))
socket.destroy()

async function sendChunk(index: number): Promise<void> {
  socket.cork()
  socket.write(
    `POST /upload HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: ${chunk.length}\r\n` +
      `Content-Type: application/octet-stream\r\nX-Chunk-Index: ${index}\r\nX-File-Name: ${name}\r\n\r\n`,
  )
  // Other bytes each time, since the same ones may be told apart.
  chunk.writeUInt32LE(index)
  socket.write(chunk)
  socket.uncork()
  let answer = ''
  do {
    const [bytes] = (await once(socket, 'data')) as [Buffer]
    answer += bytes.toString('latin1')
  } while (!/\}(?:\r\n0\r\n\r\n)?$/.test(answer))
  if (!answer.startsWith('HTTP/1.1 200')) throw new Error(`Chunk ${index}: ${answer}`)
}

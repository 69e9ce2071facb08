/** Uploads a file, then a part of it, in constant memory. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConnectionPool, fileContent, HttpRequest } from 'ferry/transport'

await using folder = await mkdtempDisposable(join(tmpdir(), 'ferry-example-'))
const path = join(folder.path, 'file.bin')
const bytes = Buffer.alloc(3_000_000, 'All work and no play makes Jack a dull boy. ')
await writeFile(path, bytes)

await using server = createServer((request, response) => {
  const hash = createHash('sha256')
  request.on('data', (piece: Buffer) => hash.update(piece))
  request.on('end', () => response.end(hash.digest('hex')))
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/file.bin`
await using client = new ConnectionPool()

const content = await fileContent(path)
const whole = await client.request(new HttpRequest('PUT', url, { content }))
const digest = (await whole.body.bytes()).toString()
console.log(`Sent ${content.length} bytes`)
console.log(`Arrived whole: ${digest === createHash('sha256').update(bytes).digest('hex')}`)

const part = await fileContent(path, { start: 1_000_000, end: 1_500_000 })
const partial = await client.request(
  new HttpRequest('PUT', url, {
    headers: { 'Content-Range': 'bytes 1000000-1499999/3000000' },
    content: part,
  }),
)
await partial.body.bytes()
console.log(`Sent ${part.length} bytes of it`)

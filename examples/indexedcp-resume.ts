/** An upload of IndexedCP that is interrupted: the next one sends the chunks that are missing, no more. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { UploadServer } from 'ferry/receive'
import { IndexCPClient, openSqliteOutbox } from 'ferry/upload'

await using folder = await mkdtempDisposable(`${tmpdir()}/ferry-example-`)
process.chdir(folder.path)
const MIB = 1_048_576
const content = randomBytes(5_000_000)
await writeFile('large_file.zip', content)

// A server that breaks off after three chunks.
let left = 3
let chunks: (string | string[] | undefined)[] = []
await using uploads = await UploadServer.open('uploads')
await using server = createServer((request, response) => {
  if (request.method === 'POST' && left-- <= 0) return void request.destroy()
  if (request.url === '/upload') chunks.push(request.headers['x-chunk-index'])
  void uploads.handler(request, response)
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/upload`

async function uploadAll(): Promise<unknown> {
  await using outbox = await openSqliteOutbox({ path: 'outbox.db' })
  // One chunk after another, so that what comes is the same each time; four at once without a word.
  const options = { outbox, apiKey: 'none', chunkSize: MIB, parallel: 1, maxRetries: 0 }
  await using client = new IndexCPClient(options)
  return await client.uploadBufferedFiles(url)
}

await using outbox = await openSqliteOutbox({ path: 'outbox.db' })
await using client = new IndexCPClient({ outbox })
console.log('chunks:', await client.addFile('./large_file.zip'))
try {
  await uploadAll()
} catch (error) {
  console.log('Upload interrupted:', (error as { code?: string }).code)
}
console.log('sent:', chunks.join(', '))
const answer = await fetch(`${url}/status?filename=large_file.zip`)
const { offset } = (await answer.json()) as { offset: number }
console.log('kept by the server:', offset, 'bytes')

// Later, in another process, or after the machine was started anew.
left = Infinity
chunks = []
console.log(await uploadAll())
console.log('sent:', chunks.join(', '))
console.log((await readFile('uploads/large_file.zip')).equals(content))

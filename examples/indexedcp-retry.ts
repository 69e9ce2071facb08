/** The client of IndexedCP with a server that is busy at first: the file arrives all the same. */
import { once } from 'node:events'
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { UploadServer } from 'ferry/receive'
import { IndexCPClient, openSqliteOutbox } from 'ferry/upload'

await using folder = await mkdtempDisposable(`${tmpdir()}/ferry-example-`)
process.chdir(folder.path)
await writeFile('myfile.txt', 'what a file may hold')

let refusals = 2
await using uploads = await UploadServer.open('uploads')
await using server = createServer((request, response) => {
  if (request.method === 'POST' && refusals-- > 0) response.writeHead(503).end()
  else void uploads.handler(request, response)
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/upload`

await using outbox = await openSqliteOutbox({ path: 'outbox.db' })
await using client = new IndexCPClient({
  outbox,
  apiKey: 'this server asks for none',
  // Tries after the first one; 3 without a word.
  maxRetries: 5,
  // At most 10 ms, then 20, 40, 80, 160: each wait is drawn by lot, so that not all come back at once.
  initialRetryDelay: 10,
  onEvent: (name, event) => {
    if (event.type === 'retry') console.log(`${name}: try ${event.attempt} failed, ${event.reason}`)
  },
})

console.log(await client.bufferAndUpload('./myfile.txt', url))
console.log(await readFile('uploads/myfile.txt', 'utf8'))

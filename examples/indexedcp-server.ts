/** The server that clients of IndexedCP upload to, and what such a client does: chunks, one after another. */
import { mkdtempDisposable, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { IndexCPServer } from 'ferry/receive'

await using folder = await mkdtempDisposable(join(tmpdir(), 'ferry-example-'))
await using server = new IndexCPServer({
  outputDir: folder.path,
  // 0 for one that is free; without it 3000.
  port: 0,
  apiKey: 'your-secure-api-key',
})

console.log('Starting IndexedCP server...')
const url = `${await server.listen()}/upload`

const content = Buffer.from('what a file may hold')
const chunkBytes = 7

async function uploadChunk(index: number): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/octet-stream',
      'X-Chunk-Index': String(index),
      'X-File-Name': './docs/myfile.txt',
      Authorization: `Bearer ${server.apiKey}`,
    },
    body: content.subarray(index * chunkBytes, (index + 1) * chunkBytes),
  })
  return response.json()
}

console.log(await uploadChunk(0))
console.log(await uploadChunk(1))

// The server tells what it has, so that a client goes on with the rest after a break.
const asked = await fetch(`${url}/status?filename=myfile.txt`, {
  headers: { Authorization: `Bearer ${server.apiKey}` },
})
console.log(await asked.json())
console.log(await readFile(join(folder.path, 'myfile.txt'), 'utf8'))

await uploadChunk(2)
await uploadChunk(2)
console.log(server.getReceivedChunks('myfile.txt'))
console.log(await readFile(join(folder.path, 'myfile.txt'), 'utf8'))

const refused = await fetch(url, { method: 'POST', body: content })
console.log(refused.status, await refused.text())

/** Chunks of IndexedCP sent one by one past the outbox: whoever does this sees to order and repetition. */
import { randomBytes } from 'node:crypto'
import { mkdtempDisposable, open, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { IndexCPServer } from 'ferry/receive'
import { IndexCPClient } from 'ferry/upload'

await using folder = await mkdtempDisposable(`${tmpdir()}/ferry-example-`)
process.chdir(folder.path)
const content = randomBytes(2_500_000)
await writeFile('large_file.zip', content)

await using server = new IndexCPServer({ outputDir: 'uploads', port: 0 })
const url = `${await server.listen()}/upload`

/** Uploads a file chunk by chunk, as it is read. */
async function streamingUpload(filePath: string, serverUrl: string): Promise<void> {
  await using client = new IndexCPClient({ apiKey: server.apiKey, chunkSize: 1024 * 1024 })
  await using file = await open(filePath)
  const chunk = Buffer.alloc(client.chunkSize)

  for (let index = 0; ; index++) {
    const { bytesRead } = await file.read(chunk)
    if (bytesRead === 0) break

    const data = chunk.subarray(0, bytesRead)
    await client.uploadChunk(serverUrl, data, index, filePath)
    console.log(`Uploaded chunk ${index}`)
  }

  console.log('Streaming upload complete!')
}

await streamingUpload('./large_file.zip', url)
console.log((await readFile('uploads/large_file.zip')).equals(content))

/** The client of IndexedCP: files are kept in an outbox and sent from there, or added and sent in one call. */
import { randomBytes } from 'node:crypto'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { IndexCPServer } from 'ferry/receive'
import { type BufferedUploadError, IndexCPClient, openSqliteOutbox } from 'ferry/upload'

await using folder = await mkdtempDisposable(`${tmpdir()}/ferry-example-`)
process.chdir(folder.path)
await writeFile('myfile.txt', 'what a file may hold')
await writeFile('large_file.zip', randomBytes(300_000))

await using server = new IndexCPServer({ outputDir: 'uploads', port: 0, apiKey: 'your-api-key' })
const url = `${await server.listen()}/upload`

// Without an outbox of one's own it is ~/.indexcp/indexcp.db, the one of the command indexcp.
await using outbox = await openSqliteOutbox({ path: 'outbox.db' })
await using client = new IndexCPClient({ outbox })
// Without this line it is INDEXCP_API_KEY; without that, too, it is asked for at the terminal.
client.apiKey = 'your-api-key'

console.log('chunks:', await client.addFile('./myfile.txt'))
console.log('kept:', await client.getBufferedFiles())
console.log('upload results:', await client.uploadBufferedFiles(url))
console.log('kept:', await client.getBufferedFiles())
console.log('sent at once:', await client.bufferAndUpload('./myfile.txt', url))

// Small chunks for slow connections, large ones for fast ones; 1 MiB without a word.
await using careful = new IndexCPClient({ outbox, apiKey: 'your-api-key', chunkSize: 64 * 1024 })
console.log('small chunks:', await careful.addFile('./large_file.zip'))
await using quick = new IndexCPClient({ outbox, chunkSize: 5 * 1024 * 1024 })
console.log('large chunks:', await quick.addFile('./large_file.zip'))
console.log('removed:', await quick.clearBuffer())

await client.addFile('./myfile.txt')
client.apiKey = 'a wrong one'
await client.uploadBufferedFiles(url).catch((error: BufferedUploadError) => {
  console.log('refused:', error.status)
})
console.log('kept:', await client.getBufferedFiles())

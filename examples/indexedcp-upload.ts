/** Several files by the client of IndexedCP: added, listed, sent, and what the server calls them. */
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { IndexCPServer } from 'ferry/receive'
import { IndexCPClient, openSqliteOutbox } from 'ferry/upload'

await using folder = await mkdtempDisposable(`${tmpdir()}/ferry-example-`)
process.chdir(folder.path)
await writeFile('document.pdf', 'a document')
await writeFile('image.jpg', 'an image')

await using server = new IndexCPServer({ outputDir: 'uploads', port: 0 })
const url = `${await server.listen()}/upload`

await using outbox = await openSqliteOutbox({ path: 'outbox.db' })
await using client = new IndexCPClient({ outbox, apiKey: server.apiKey })

await client.addFile('./document.pdf')
await client.addFile('./image.jpg')

const files = await client.getBufferedFiles()
console.log(`Files to upload: ${files.join(', ')}`)

const results = await client.uploadBufferedFiles(url)

for (const [clientFile, serverFile] of Object.entries(results)) {
  console.log(`Uploaded: ${clientFile} -> ${serverFile}`)
}

/** Server and client of IndexedCP in one program, with a key of their own. */
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { IndexCPServer } from 'ferry/receive'
import { IndexCPClient, openSqliteOutbox } from 'ferry/upload'

await using folder = await mkdtempDisposable(`${tmpdir()}/ferry-example-`)
process.chdir(folder.path)
await writeFile('myfile.txt', 'what a file may hold')

await using server = new IndexCPServer({ outputDir: './uploads', port: 0, apiKey: 'demo-key' })
// When this resolves the server takes uploads: nobody has to wait for it.
const url = `${await server.listen()}/upload`

await using outbox = await openSqliteOutbox({ path: 'outbox.db' })
await using client = new IndexCPClient({ outbox })
client.apiKey = 'demo-key'
console.log(await client.bufferAndUpload('./myfile.txt', url))
console.log(await readFile('uploads/myfile.txt', 'utf8'))

/** A server for clients of IndexedCP that gives files names of its own: theirs, with the time. */
import { mkdtempDisposable, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, parse } from 'node:path'
import { IndexCPServer } from 'ferry/receive'

await using folder = await mkdtempDisposable(join(tmpdir(), 'ferry-example-'))

/** Asked once for a file, not for each of its chunks; whatever it gives stays in the folder. */
function timestampFilename(clientFilename: string): string {
  const { name, ext } = parse(clientFilename)
  const timestamp = Math.floor(Date.now() / 1000)
  console.log(`named ${name}${ext}`)
  return `${name}_${timestamp}${ext}`
}

await using server = new IndexCPServer({
  outputDir: join(folder.path, 'timestamped_uploads'),
  port: 0,
  filenameGenerator: timestampFilename,
})
const url = `${await server.listen()}/upload`

for (const [index, chunk] of ['one ', 'two'].entries()) {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'X-Chunk-Index': String(index),
      'X-File-Name': 'report.txt',
      // Nobody has given one: it is random.
      Authorization: `Bearer ${server.apiKey}`,
    },
    body: chunk,
  })
  const { actualFilename } = (await response.json()) as { actualFilename: string }
  console.log(/^report_\d{10}\.txt$/.test(actualFilename))
}

const names = await readdir(join(folder.path, 'timestamped_uploads'))
console.log(names.filter((name) => name !== '.ferry').length)

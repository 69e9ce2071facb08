/** Uploads: one that is watched and given up, the next run that goes on with it, and content of other kinds. */
import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { UploadServer } from 'ferry/receive'
import { upload, type UploadNote } from 'ferry/upload'

await using folder = await mkdtempDisposable(`${tmpdir()}/ferry-example-`)
process.chdir(folder.path)
const content = randomBytes(3_000_000)
await writeFile('film.mp4', content)
await using server = await UploadServer.open('inbox')
// Here tus and the IETF's draft are spoken; where IndexedCP is, the path ends in /upload.
const url = `${await server.listen()}/files`

const first = upload('film.mp4', url, {
  chunkBytes: 250_000,
  limitBytesPerSecond: 1_000_000,
  onNote: (note) => writeFile('film.note', JSON.stringify(note)),
})
first.onEvent((event) => {
  if (event.type === 'protocol') console.log('protocol', event.protocol)
  if (event.type === 'state') console.log('state', event.state)
})
for await (const { acknowledgedBytes, size } of first) {
  if (acknowledgedBytes > 0) {
    console.log('some are there:', acknowledgedBytes < Number(size))
    break
  }
}
await first.cancel()

// In another process, say: the same file, URL and note.
const saved = JSON.parse(await readFile('film.note', 'utf8')) as UploadNote
const second = upload('film.mp4', url, { saved })
const { resumedBytes, transmittedBytes } = await second.result
console.log('goes on:', resumedBytes > 0, resumedBytes + transmittedBytes === content.length)
console.log('arrived whole:', (await readFile('inbox/film.mp4')).equals(content))

// Held up for a while; each chunk goes with its digest, and the server checks it.
const third = upload(content, url, { name: 'bytes.bin', protocol: 'ietf', checksum: true })
third.pause()
console.log(third.state)
third.resume()
const { name, remoteName, protocol } = await third.result
console.log(protocol, name, remoteName)

// A stream is read once; what is on its way is kept, and sent again if need be.
const { size } = await upload(createReadStream('film.mp4'), url, { name: 'stream.bin' }).result
console.log(size)

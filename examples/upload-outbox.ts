/** An outbox: a copy, a folder, a file that stays where it is, and bytes, sent when there is somebody to send to. */
import { mkdir, mkdtempDisposable, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { UploadServer } from 'ferry/receive'
import { addContent, addFile, addFolder, openSqliteOutbox, sendItem } from 'ferry/upload'

await using folder = await mkdtempDisposable(`${tmpdir()}/ferry-example-`)
process.chdir(folder.path)
await mkdir('album/summer', { recursive: true })
await writeFile('notes.txt', 'some notes')
await writeFile('large.bin', new Uint8Array(3_000_000))
await writeFile('album/cover.jpg', 'a cover')
await writeFile('album/summer/1.jpg', 'a picture')

await using outbox = await openSqliteOutbox({ path: 'outbox.db' })
// Once this resolves the file may go: what is in the outbox survives also a power cut.
await addFile(outbox, 'notes.txt')
await rm('notes.txt')
await addFolder(outbox, 'album')
await addContent(outbox, 'log.txt', 'line 1\nline 2\n', { type: 'text/plain' })
// Only where it is and which version: nothing is copied, and no other version is ever sent.
await addFile(outbox, 'large.bin', { name: 'large', mode: 'reference' })
for (const { name, size, content } of await outbox.list()) console.log(name, size, content.mode)

// One sender at a time, also if others are other processes.
const [first] = await outbox.list()
const lease = await outbox.lease(first?.id ?? '')
console.log('another may have it:', (await outbox.lease(first?.id ?? '')) !== undefined)
await lease?.release()

await writeFile('large.bin', 'something else meanwhile')

await using server = await UploadServer.open('inbox', { indexedcp: { pathMode: 'allow-paths' } })
const url = `${await server.listen()}/upload`
for (const { id, name } of await outbox.list()) {
  await using held = await outbox.lease(id)
  if (held === undefined) continue
  try {
    const { remoteName } = await sendItem(held, url)
    console.log('delivered', remoteName)
  } catch (error) {
    console.log('kept', name, (error as { code?: string }).code)
  }
}
console.log((await outbox.list()).map(({ name }) => name))
console.log((await readdir('inbox/album', { recursive: true })).toSorted())

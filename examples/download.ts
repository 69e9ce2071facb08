/** A download: looked at, paused, resumed, and proven by a digest, though its server breaks off. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { download, downloadWithResume, parseChecksum, partialFileExists } from 'ferry/download'
import { FaultServer } from 'ferry/testing'

const content = randomBytes(2_000_000)
const digest = createHash('sha256').update(content).digest('hex')
const folder = await mkdtemp(join(tmpdir(), 'ferry-example-'))

await using server = await FaultServer.start({
  content,
  bytesPerSecond: 1_500_000,
  headers: { 'Content-Disposition': 'attachment; filename="report 1.bin"' },
  fault: ({ index }) => (index === 1 ? { type: 'reset', afterBytes: 500_000 } : undefined),
})

const checksum = parseChecksum(`sha256=${digest}`)
const running = download(server.url, `${folder}/`, { checksum, maxConnections: 1 })
running.onEvent((event) => {
  if (event.type === 'named') console.log('named', basename(event.path))
  if (event.type === 'retry') console.log('retry', event.attempt)
})
for await (const { receivedBytes, state } of running) {
  if (receivedBytes === 0 || state !== 'running') continue
  running.pause()
  break
}
console.log(running.state)
running.resume()
const { path, size, proof } = await running.result
console.log(basename(path), size, proof, (await readFile(path)).equals(content))

const target = join(folder, 'file.zip')
const result = await downloadWithResume(server.url, target)
console.log(`Download status: ${result.status}, ${basename(result.path)}`)
console.log((await downloadWithResume(server.url, target)).status, await partialFileExists(target))
await rm(folder, { recursive: true })

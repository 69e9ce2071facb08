/** Receives a file in two pieces, with a server that ended between them; another one without a key is refused. */
import { randomBytes } from 'node:crypto'
import { mkdtempDisposable, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKey, KeyRing, UploadServer } from 'ferry/receive'

await using folder = await mkdtempDisposable(join(tmpdir(), 'ferry-example-'))
const key = generateKey()
const content = randomBytes(1_000_000)

function openServer(): Promise<UploadServer> {
  return UploadServer.open(folder.path, {
    keys: KeyRing.of(key, 'ann'),
    uploads: {
      onEvent: ({ type, upload: { name, owner, offset } }) => {
        console.log(`${type}: ${name} from ${owner}, ${offset} bytes`)
      },
    },
  })
}

// Any client of the IETF's draft, of tus or of IndexedCP will do.
function send(url: string, method: string, fields: object, body?: Buffer): Promise<Response> {
  const headers = { Authorization: `Bearer ${key}`, ...fields }
  return fetch(url, { method, headers, body: body === undefined ? null : new Uint8Array(body) })
}

const first = await openServer()
const firstUrl = await first.listen()
const created = await send(`${firstUrl}/files`, 'POST', {
  'Upload-Complete': '?0',
  'Content-Disposition': 'attachment; filename="../photo.jpg"',
})
const path = new URL(created.headers.get('Location') ?? '', `${firstUrl}/files`).pathname
const piece = { 'Content-Type': 'application/partial-upload' }
await send(
  firstUrl + path,
  'PATCH',
  { ...piece, 'Upload-Offset': '0', 'Upload-Complete': '?0' },
  content.subarray(0, 400_000),
)
await first.close()

await using second = await openServer()
const secondUrl = await second.listen()
const asked = await send(secondUrl + path, 'HEAD', {})
const offset = Number(asked.headers.get('Upload-Offset'))
console.log(`goes on from ${offset}`)
const last = await send(
  secondUrl + path,
  'PATCH',
  { ...piece, 'Upload-Offset': String(offset), 'Upload-Complete': '?1' },
  content.subarray(offset),
)
const { name } = (await last.json()) as { name: string }
console.log(name, (await readFile(join(folder.path, name))).equals(content))

const refused = await send(secondUrl + path, 'HEAD', { Authorization: 'Bearer wrong' })
console.log(refused.status, refused.headers.get('WWW-Authenticate'))

/** Uploads beside the routes of a server of one's own; files go where the server decides. */
import { once } from 'node:events'
import { mkdtempDisposable, readdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UploadServer } from 'ferry/receive'

await using folder = await mkdtempDisposable(join(tmpdir(), 'ferry-example-'))
await using uploads = await UploadServer.open(folder.path, {
  mount: '/api',
  doors: ['tus'],
  tus: { chooseName: ({ metadata }) => `${metadata['album']}/1.jpg` },
  uploads: { limits: { maxUploadBytes: 1000 } },
})

await using server = createServer({ requestTimeout: 0 }, (request, response) => {
  if (request.url?.startsWith('/api/') === true) void uploads.handler(request, response)
  else response.end('hello')
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

async function upload(length: number): Promise<Response> {
  return fetch(`${url}/api/files`, {
    method: 'POST',
    headers: {
      'Tus-Resumable': '1.0.0',
      'Content-Type': 'application/offset+octet-stream',
      'Upload-Length': String(length),
      'Upload-Metadata': `album ${btoa('summer')}`,
    },
    body: new Uint8Array(length),
  })
}

console.log(await (await fetch(url)).text())
const { status, headers } = await upload(1000)
console.log(status, headers.get('Upload-Offset'), await readdir(join(folder.path, 'summer')))
const large = await upload(1001)
console.log(large.status, (await large.text()).trim())

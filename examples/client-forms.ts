/** Forms: fields, and a file that is streamed from where it lies. */
import { once } from 'node:events'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { filePart, HttpClient, MultipartForm } from 'ferry/client'

await using folder = await mkdtempDisposable(join(tmpdir(), 'ferry-example-'))
const path = join(folder.path, 'image.jpg')
await writeFile(path, Buffer.alloc(100_000, 'x'))

// The platform reads the form for us, and tells what it found.
await using server = createServer((request, response) => void answer(request, response))
await once(server.listen(0, '127.0.0.1'), 'listening')
const { port } = server.address() as AddressInfo

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await buffer(request)
  const { 'content-type': type = '', 'content-length': length } = request.headers
  const form = await new Response(body, { headers: { 'Content-Type': type } }).formData()
  const fields = [...form].map(([name, value]) =>
    typeof value === 'string' ? `${name}=${value}` : `${name}: ${value.name}, ${value.size} bytes`,
  )
  response.setHeader('Content-Type', 'application/json')
  response.end(JSON.stringify({ fields, isLengthKnown: length !== undefined }))
}

await using client = new HttpClient({ baseUrl: `http://127.0.0.1:${port}` })

interface Answer {
  readonly fields: readonly string[]
  readonly isLengthKnown: boolean
}

const form = new MultipartForm()
form.addField('description', 'Profile picture')
form.add(await filePart('file', path))
const sent: number[] = []
const uploaded = await client.post<Answer>('/upload', {
  body: form,
  onUploadProgress: ({ bytes }) => sent.push(bytes),
})
console.log(uploaded.fields.join('; '))
console.log(`length known: ${uploaded.isLengthKnown}, progress told: ${sent.length > 0}`)

// The platform's own form does as well.
const platform = new FormData()
platform.set('file', new File(['small'], 'note.txt'))
console.log((await client.post<Answer>('/upload', { body: platform })).fields.join('; '))

// Without files: urlencoded.
console.log(
  (await client.post<Answer>('/upload', { form: { a: 1, b: ['x', 'y'] } })).fields.join('; '),
)

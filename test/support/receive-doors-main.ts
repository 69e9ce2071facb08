/**
 * A process with an upload server on the folder named as its argument, and clients that talk to it one
 * after another, by every protocol. Says before each request what is going to be asked.
 */
import { writeSync } from 'node:fs'
import { request } from 'node:http'
import { UploadServer } from 'ferry/receive'

const PIECE = Buffer.alloc(300_000, 7)
const TUS = { 'Tus-Resumable': '1.0.0' }
const TUS_PIECE = { ...TUS, 'Content-Type': 'application/offset+octet-stream' }

await using server = await UploadServer.open(process.argv[2] as string)
const base = await server.listen()

// tus, in two pieces.
const fields = { 'Upload-Length': '600000', 'Upload-Metadata': `filename ${btoa('tus.bin')}` }
const tus = await ask('tus, creation', 'POST', '/files', { ...TUS, ...fields })
await ask('tus, first piece', 'PATCH', tus, { ...TUS_PIECE, 'Upload-Offset': '0' }, PIECE)
await ask('tus, last piece', 'PATCH', tus, { ...TUS_PIECE, 'Upload-Offset': '300000' }, PIECE)

// tus, put together.
const partial = { ...TUS_PIECE, 'Upload-Concat': 'partial', 'Upload-Length': '300000' }
const one = await ask('tus, one part', 'POST', '/files', partial, PIECE)
const two = await ask('tus, other part', 'POST', '/files', partial, PIECE)
await ask('tus, parts together', 'POST', '/files', {
  ...TUS,
  'Upload-Concat': `final;${one} ${two}`,
  'Upload-Metadata': `filename ${btoa('parts.bin')}`,
})

// The draft.
const draft = { 'Upload-Draft-Interop-Version': '8' }
const ietf = await ask(
  'draft, first piece',
  'POST',
  '/files',
  { ...draft, 'Upload-Complete': '?0', 'Content-Disposition': 'attachment; filename="ietf.bin"' },
  PIECE,
)
const append = { ...draft, 'Upload-Offset': '300000', 'Content-Type': 'application/partial-upload' }
await ask('draft, last piece', 'PATCH', ietf, { ...append, 'Upload-Complete': '?1' }, PIECE)

// IndexedCP, as its clients are.
const chunk = { 'X-File-Name': 'chunks.bin' }
await ask('chunk 0', 'POST', '/upload', { ...chunk, 'X-Chunk-Index': '0' }, PIECE)
await ask('chunk 1', 'POST', '/upload', { ...chunk, 'X-Chunk-Index': '1' }, PIECE)
// Before the one in front of it.
await ask('chunk 3', 'POST', '/upload', { ...chunk, 'X-Chunk-Index': '3' }, PIECE)
await ask('chunk 2', 'POST', '/upload', { ...chunk, 'X-Chunk-Index': '2' }, PIECE)

// IndexedCP, with an id and an end.
const known = { 'X-File-Name': 'known.bin', 'X-Upload-Id': 'an-id', 'X-Chunk-Size': '300000' }
const whole = { ...known, 'X-Total-Size': '600000' }
await ask('known chunk 1', 'POST', '/upload', { ...whole, 'X-Chunk-Index': '1' }, PIECE)
await ask('known chunk 0', 'POST', '/upload', { ...whole, 'X-Chunk-Index': '0' }, PIECE)

/** Gives the path of Location, where there is one. */
function ask(
  label: string,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body: Buffer = Buffer.alloc(0),
): Promise<string> {
  writeSync(1, `${label}\n`)
  return new Promise((resolve, reject) => {
    const length = { 'Content-Length': body.length }
    const sent = request(new URL(path, base), { method, headers: { ...headers, ...length } })
    sent.on('error', reject)
    sent.on('response', (response) => {
      const { statusCode = 0, headers: answered } = response
      response.resume().on('end', () => {
        if (statusCode < 300) resolve(new URL(answered.location ?? '/', `${base}/files`).pathname)
        else reject(new Error(`${label}: ${statusCode}`))
      })
    })
    sent.end(body)
  })
}

/**
 * The process that sends one file: `upload-client.ts NAME URL FILE`. Prints, as JSON, what the server
 * answered and how long it took from loading the client on; node's own start is not in it. Each
 * client loads only itself, since the process is measured as a whole too.
 */
import { createReadStream, statSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { text } from 'node:stream/consumers'

/** What the process tells. */
export interface UploadReport {
  readonly status: number
  /** The server's answer. */
  readonly answer: string
  readonly ownMs: number
}

type SendFile = (url: string, path: string) => Promise<{ status: number; answer: string }>

// For the peers, which read the file by a stream: few calls for much.
const READ_BYTES = 262_144

const CLIENTS: Readonly<Record<string, SendFile>> = {
  'ferry transport': sendWithFerry,
  'undici.request': sendWithUndici,
  'node:http': sendWithNodeHttp,
}

const [name = '', url = '', path = ''] = process.argv.slice(2)
const sendFile = CLIENTS[name]
if (sendFile === undefined) throw new Error(`Cannot measure ${name}: no such client`)
const startedAt = performance.now()
const { status, answer } = await sendFile(url, path)
const report: UploadReport = { status, answer, ownMs: performance.now() - startedAt }
process.stdout.write(JSON.stringify(report), () => process.exit(0))

async function sendWithFerry(to: string, file: string): ReturnType<SendFile> {
  const { ConnectionPool, fileContent, HttpRequest } = await import('ferry/transport')
  await using pool = new ConnectionPool()
  const content = await fileContent(file)
  const response = await pool.request(new HttpRequest('PUT', to, { content }))
  return { status: response.status, answer: (await response.body.bytes()).toString() }
}

async function sendWithUndici(to: string, file: string): ReturnType<SendFile> {
  const { request } = await import('undici')
  const { statusCode, body } = await request(to, {
    method: 'PUT',
    headers: { 'content-length': String(statSync(file).size) },
    body: createReadStream(file, { highWaterMark: READ_BYTES }),
  })
  return { status: statusCode, answer: await body.text() }
}

async function sendWithNodeHttp(to: string, file: string): ReturnType<SendFile> {
  const { request } = await import('node:http')
  const sent = request(to, {
    method: 'PUT',
    headers: { 'content-length': statSync(file).size },
  })
  const answered = new Promise<{ status: number; answer: string }>((resolve, reject) => {
    sent.on('error', reject)
    sent.on('response', (response) => {
      text(response).then((answer) => resolve({ status: response.statusCode ?? 0, answer }), reject)
    })
  })
  await pipeline(createReadStream(file, { highWaterMark: READ_BYTES }), sent)
  return answered
}

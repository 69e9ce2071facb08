/**
 * The process that sends one file: `upload-client.ts NAME URL FILE CA`. Prints, as JSON, what the
 * server answered and how long it took from loading the client on; node's own start is not in it.
 * Each client loads only itself, since the process is measured as a whole too.
 */
import { createReadStream, readFileSync, statSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { text } from 'node:stream/consumers'
import { reportAndExit } from './work-report.ts'

/** What the process tells. */
export interface UploadReport {
  readonly status: number
  /** The server's answer. */
  readonly answer: string
  readonly ownMs: number
}

interface Upload {
  readonly url: string
  readonly path: string
  /** File of the certificate to trust, for https. */
  readonly caPath: string
}

type Answer = Pick<UploadReport, 'status' | 'answer'>
type SendFile = (upload: Upload) => Promise<Answer>

// For the peers, which read the file by a stream: few calls for much.
const READ_BYTES = 262_144

const CLIENTS: Readonly<Record<string, SendFile>> = {
  'ferry transport': sendWithFerry,
  'undici.request': sendWithUndici,
  'node:http': sendWithNodeHttp,
  'node:http2': sendWithNodeHttp2,
}

const [name = '', url = '', path = '', caPath = ''] = process.argv.slice(2)
const sendFile = CLIENTS[name]
if (sendFile === undefined) throw new Error(`Cannot measure ${name}: no such client`)
const startedAt = performance.now()
const answered = await sendFile({ url, path, caPath })
const report: UploadReport = { ...answered, ownMs: performance.now() - startedAt }
reportAndExit(report)

/** Over https by HTTP/2, if the server takes it. */
async function sendWithFerry({ url: to, path: file, caPath: ca }: Upload): Promise<Answer> {
  const { ConnectionPool, fileContent, HttpRequest } = await import('ferry/transport')
  const tls = to.startsWith('https:') ? { ca: readFileSync(ca, 'utf8') } : {}
  await using pool = new ConnectionPool({ tls })
  const content = await fileContent(file)
  const response = await pool.request(new HttpRequest('PUT', to, { content }))
  return { status: response.status, answer: (await response.body.bytes()).toString() }
}

async function sendWithUndici({ url: to, path: file }: Upload): Promise<Answer> {
  const { request } = await import('undici')
  const { statusCode, body } = await request(to, {
    method: 'PUT',
    headers: { 'content-length': String(statSync(file).size) },
    body: createReadStream(file, { highWaterMark: READ_BYTES }),
  })
  return { status: statusCode, answer: await body.text() }
}

async function sendWithNodeHttp({ url: to, path: file }: Upload): Promise<Answer> {
  const { request } = await import('node:http')
  const sent = request(to, {
    method: 'PUT',
    headers: { 'content-length': statSync(file).size },
  })
  const answer = new Promise<Answer>((resolve, reject) => {
    sent.on('error', reject)
    sent.on('response', (response) => {
      text(response).then(
        (content) => resolve({ status: response.statusCode ?? 0, answer: content }),
        reject,
      )
    })
  })
  await pipeline(createReadStream(file, { highWaterMark: READ_BYTES }), sent)
  return answer
}

async function sendWithNodeHttp2({ url: to, path: file, caPath: ca }: Upload): Promise<Answer> {
  const { connect } = await import('node:http2')
  const { origin, pathname } = new URL(to)
  const session = connect(origin, { ca: readFileSync(ca, 'utf8') })
  const sent = session.request({
    ':method': 'PUT',
    ':path': pathname,
    'content-length': statSync(file).size,
  })
  const status = new Promise<number>((resolve, reject) => {
    sent.on('error', reject)
    sent.on('response', (headers) => resolve(headers[':status'] ?? 0))
  })
  const answer = text(sent)
  createReadStream(file, { highWaterMark: READ_BYTES }).pipe(sent)
  return { status: await status, answer: await answer }
}

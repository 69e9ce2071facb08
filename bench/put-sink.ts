/**
 * A server that takes uploads by PUT and by every protocol of `ferry/upload`, and throws what comes
 * away: `put-sink.ts`. Prints its port once it listens.
 *
 * On bare sockets, so that the sender is what is measured. It knows no errors: what it is sent by a
 * benchmark is right.
 */
import { type AddressInfo, createServer, type Socket } from 'node:net'

/** A request whose content is being taken. */
interface Taken {
  readonly method: string
  readonly target: string
  readonly fields: ReadonlyMap<string, string>
  readonly length: number
}

const HEAD_END = '\r\n\r\n'
/** Bytes of each upload of IndexedCP that have come, by any connection. */
const receivedBytes = new Map<string, number>()

const server = createServer({ noDelay: true }, takeRequests)
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`)
})

function takeRequests(socket: Socket): void {
  let head = ''
  let current: Taken | undefined
  let missing = 0
  socket.on('error', () => socket.destroy())
  socket.on('data', (bytes: Buffer) => {
    let at = 0
    while (at < bytes.length) {
      if (current === undefined) {
        const before = head.length
        head += bytes.toString('latin1', at)
        const end = head.indexOf(HEAD_END)
        if (end === -1) return
        at += end + HEAD_END.length - before
        current = readHead(head.slice(0, end))
        head = ''
        missing = current.length
      }
      const taken = Math.min(missing, bytes.length - at)
      missing -= taken
      at += taken
      if (missing > 0) return
      socket.write(answerTo(current), 'latin1')
      current = undefined
    }
  })
}

/** @param head request line and fields, without the empty line */
function readHead(head: string): Taken {
  const [line = '', ...rest] = head.split('\r\n')
  const [method = '', target = ''] = line.split(' ')
  const fields = new Map(
    rest.map((field) => {
      const colon = field.indexOf(':')
      return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()] as const
    }),
  )
  return { method, target, fields, length: Number(fields.get('content-length') ?? 0) }
}

function answerTo(request: Taken): string {
  const { method, fields } = request
  if (fields.has('x-upload-id')) return answerChunk(request)
  if (method === 'PUT') return formatAnswer('200 OK')
  // A server of IndexedCP that does not know the upload yet.
  if (method === 'GET') return formatAnswer('404 Not Found', {}, '{"error":"Upload not found"}')
  if (method === 'POST') return formatAnswer('201 Created', { Location: '/files/1' })
  const offset = Number(fields.get('upload-offset')) + request.length
  const complete = fields.get('upload-complete')
  return formatAnswer('204 No Content', {
    'Tus-Resumable': '1.0.0',
    'Upload-Offset': String(offset),
    ...(complete === undefined ? {} : { 'Upload-Complete': complete }),
  })
}

function answerChunk({ fields, length }: Taken): string {
  const id = fields.get('x-upload-id') as string
  const size = Number(fields.get('x-total-size'))
  const received = (receivedBytes.get(id) ?? 0) + length
  receivedBytes.set(id, received)
  const complete = received === size
  if (complete) receivedBytes.delete(id)
  const actualFilename = fields.get('x-file-name')
  return formatAnswer(
    '200 OK',
    { 'Content-Type': 'application/json' },
    JSON.stringify({ actualFilename, uploadId: id, offset: received, size, complete }),
  )
}

function formatAnswer(status: string, fields: Record<string, string> = {}, text = ''): string {
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  const length = status.startsWith('204') ? '' : `Content-Length: ${Buffer.byteLength(text)}\r\n`
  return `HTTP/1.1 ${status}\r\n${lines.join('')}${length}\r\n${text}`
}

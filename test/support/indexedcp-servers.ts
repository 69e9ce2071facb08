/**
 * Servers of IndexedCP as each generation behaves, mistakes included, written from their protocol.
 * Content of files is kept in memory under its stored name.
 */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http'
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Server as NetServer,
  type Socket,
} from 'node:net'

const KEY = 'a-key'

/** A server of one generation. Whoever opens it closes it. */
export class OldServer implements AsyncDisposable {
  readonly key = KEY
  /** Stored name → what has been appended to it. */
  readonly files = new Map<string, Buffer[]>()
  /** Indices of chunks that came, in order. */
  readonly chunks: number[] = []
  /** Statuses to answer the next chunks with, before anything is read. */
  readonly refusals: number[] = []
  /** Requests with a chunk, also of those that were skipped. */
  posts = 0
  /** The status tells of nothing, as before another client has sent. */
  hidesStatus = false
  /** The connection breaks when a chunk has been taken in, before its answer: once for each. */
  lostAnswers = 0
  readonly #server: NetServer
  readonly #sockets = new Set<Socket>()

  private constructor(create: (server: OldServer) => NetServer) {
    this.#server = create(this)
  }

  /** The first Node servers: they append, and know nothing but `POST /upload`. */
  static openNode1(): Promise<OldServer> {
    return OldServer.#listen((old) => createServer(old.#node({ nameOf: baseName })))
  }

  /** `createSimpleServer`: one file, no key, answers with text. */
  static openSimple(): Promise<OldServer> {
    const options = { nameOf: () => 'uploaded_file.txt', isSimple: true }
    return OldServer.#listen((old) => createServer(old.#node(options)))
  }

  /** The later Node servers, path mode `ignore`: a new name for each chunk. */
  static openNode2(): Promise<OldServer> {
    let count = 0
    const nameOf = (name: string): string => `${1_700_000_000_000 + ++count}_0a1b2c3d_${name}`
    return OldServer.#listen((old) => createServer(old.#node({ nameOf, answersOptions: true })))
  }

  /** The Python server: HTTP/1.0, one connection at a time, chunks tracked by name. */
  static openPython(): Promise<OldServer> {
    return OldServer.#listen((old) => createTcpServer({ allowHalfOpen: true }, old.#python()))
  }

  static async #listen(create: (old: OldServer) => NetServer): Promise<OldServer> {
    const old = new OldServer(create)
    old.#server.on('connection', (socket: Socket) => old.#sockets.add(socket))
    await new Promise<void>((resolve) => old.#server.listen(0, '127.0.0.1', resolve))
    return old
  }

  /** Where chunks go. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/upload`
  }

  content(name: string): Buffer {
    return Buffer.concat(this.files.get(name) ?? [])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #append(name: string, bytes: Buffer): void {
    const file = this.files.get(name) ?? []
    this.files.set(name, file)
    file.push(bytes)
  }

  #node(options: {
    readonly nameOf: (name: string) => string
    readonly isSimple?: boolean
    readonly answersOptions?: boolean
  }): RequestListener {
    const { nameOf, isSimple = false, answersOptions = false } = options
    return (request: IncomingMessage, response: ServerResponse) => {
      const { method, url, headers } = request
      request.on('error', () => {})
      if (answersOptions && method === 'OPTIONS') {
        response.writeHead(200).end()
        return
      }
      if (method !== 'POST' || url !== '/upload') {
        response.writeHead(404).end('Not Found')
        return
      }
      if (!isSimple && headers.authorization !== `Bearer ${KEY}`) {
        answerJson(response, 401, { error: 'Invalid or missing API key' })
        return
      }
      const refusal = this.refusals.shift()
      if (refusal !== undefined) {
        answerJson(response, refusal, { error: 'Upload error' })
        return
      }
      const index = Number.parseInt(String(headers['x-chunk-index']), 10)
      const clientName = String(headers['x-file-name'] ?? 'uploaded_file.txt')
      const name = nameOf(clientName)
      this.chunks.push(index)
      // What has come is there, also when the rest does not come.
      request.on('data', (bytes: Buffer) => this.#append(name, bytes))
      if (!this.files.has(name)) this.files.set(name, [])
      request.on('end', () => {
        if (this.#losesAnswer()) {
          request.socket.destroy()
        } else if (isSimple) {
          response.end('Chunk received\n')
        } else {
          const told = { message: 'Chunk received', actualFilename: name, chunkIndex: index }
          answerJson(response, 200, { ...told, clientFilename: clientName })
        }
      })
    }
  }

  #python(): (socket: Socket) => void {
    const serve = this.#pythonConnection()
    let served: Promise<unknown> = Promise.resolve()
    return (socket) => {
      const over = new Promise((resolve) => socket.on('finish', resolve).on('close', resolve))
      socket.on('error', () => {})
      // Whoever comes while another is served waits, as long as that takes.
      served = served.then(() => {
        // It may have gone without a word before its turn came.
        if (socket.readableEnded) socket.end()
        else serve(socket)
        return over
      })
    }
  }

  #pythonConnection(): (socket: Socket) => void {
    const received = new Map<string, Set<number>>()
    return (socket) => {
      let text = ''
      let isAnswered = false
      const answer = (status: number, json: object): void => {
        isAnswered = true
        const body = JSON.stringify(json)
        socket.end(
          `HTTP/1.0 ${status} X\r\nServer: BaseHTTP/0.6 Python/3.11\r\n` +
            `Content-Type: application/json\r\n\r\n${body}`,
        )
      }
      const take = (isWhole: boolean): void => {
        const headEnd = text.indexOf('\r\n\r\n')
        if (isAnswered || headEnd === -1) return
        const head = text.slice(0, headEnd)
        const [, method = '', target = ''] = /^(\S+) (\S+)/.exec(head) ?? []
        const fieldOf = (name: string): string | undefined =>
          new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1]?.trim()
        if (fieldOf('authorization') !== `Bearer ${KEY}`) {
          answer(401, { error: 'Invalid or missing API key' })
        } else if (method === 'GET' && target.startsWith('/upload/status')) {
          const name = new URL(target, 'http://x').searchParams.get('filename') ?? ''
          const indices = this.hidesStatus ? [] : (received.get(name) ?? [])
          answer(200, { filename: name, receivedChunks: [...indices].toReversed() })
        } else if (method === 'POST' && target === '/upload') {
          const bytes = Buffer.from(text.slice(headEnd + 4), 'latin1')
          if (!isWhole && bytes.length < Number(fieldOf('content-length') ?? 0)) return
          this.posts++
          const clientName = fieldOf('x-file-name') ?? 'uploaded_file.txt'
          const name = baseName(clientName)
          const index = Number(fieldOf('x-chunk-index') ?? 0)
          const known = received.get(name) ?? new Set()
          received.set(name, known)
          const told = { actualFilename: name, chunkIndex: index, clientFilename: clientName }
          if (known.has(index)) {
            answer(200, {
              message: 'Chunk already received (skipped)',
              ...told,
              alreadyReceived: true,
            })
            return
          }
          // A chunk that was cut short counts as well.
          known.add(index)
          this.chunks.push(index)
          this.#append(name, bytes)
          if (this.#losesAnswer()) socket.destroy()
          else answer(200, { message: 'Chunk received', ...told })
        } else {
          answer(404, { error: 'Not Found' })
        }
      }
      socket.setEncoding('latin1').on('error', () => take(true))
      socket.on('data', (bytes: string) => {
        text += bytes
        take(false)
      })
      socket.on('end', () => {
        take(true)
        if (!isAnswered) socket.end()
      })
    }
  }

  #losesAnswer(): boolean {
    if (this.lostAnswers === 0) return false
    this.lostAnswers--
    return true
  }
}

function baseName(path: string): string {
  return path.split('/').at(-1) ?? path
}

function answerJson(response: ServerResponse, status: number, json: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(json))
}

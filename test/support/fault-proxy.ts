/** Stands between a client and a server on the loopback, and breaks connections when it is told to. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/**
 * What befalls one connection once so many bytes have gone to the server. request: it breaks at once ·
 * answer: when the server has answered, before the client hears of it · stall: nothing goes any more
 */
export interface Fault {
  readonly afterBytes: number
  readonly lose: 'request' | 'answer' | 'stall'
  /** Only once a request with this method has come on the connection. */
  readonly method?: string
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
}

/** A proxy for bytes. Whoever opens it closes it. */
export class FaultProxy implements AsyncDisposable {
  /** Lines that look like those of a request: `PATCH /files/x HTTP/1.1`. */
  readonly requests: string[] = []
  /** Values of Upload-Offset that went to the server, in order. */
  readonly offsets: number[] = []
  /** Each connection takes the next; without one nothing befalls it. */
  readonly faults: Fault[] = []
  readonly #server: Server
  readonly #pairs = new Set<Pair>()

  readonly #port: number

  private constructor(server: Server) {
    this.#server = server
    this.#port = (server.address() as AddressInfo).port
  }

  /** @param target the port of the server, asked for with each connection */
  static async open(target: () => number): Promise<FaultProxy> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const proxy = new FaultProxy(server)
    server.on('connection', (client: Socket) => proxy.#accept(client, target()))
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** Breaks every connection. */
  cut(): void {
    for (const { client, server } of this.#pairs) {
      client.resetAndDestroy()
      server.resetAndDestroy()
    }
  }

  /** Breaks every connection, and refuses others as a machine does where nobody listens. */
  async goDown(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.cut()
    await closed
  }

  /** Listens again, under the same URL. */
  async comeUp(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.goDown()
  }

  #accept(client: Socket, port: number): void {
    client.on('error', () => {})
    const server = connect(port, '127.0.0.1')
    server.on('error', () => client.destroy())
    const pair = { client, server }
    this.#pairs.add(pair)
    const fault = this.faults.shift()
    let sent = 0
    let methods = ''
    const isDue = (): boolean =>
      fault !== undefined && sent >= fault.afterBytes && methods.includes(fault.method ?? '')
    client.on('data', (bytes: Buffer) => {
      sent += bytes.length
      methods += this.#note(bytes)
      if (isDue() && fault?.lose === 'request') this.#break(pair)
      else if (isDue() && fault?.lose === 'stall') client.pause()
      else if (!server.write(bytes)) client.pause()
    })
    server.on('drain', () => client.resume())
    server.on('data', (bytes: Buffer) => {
      const isInterim = bytes.toString('latin1', 0, 12) === 'HTTP/1.1 104'
      if (isDue() && fault?.lose === 'answer' && !isInterim) this.#break(pair)
      else client.write(bytes)
    })
    client.on('end', () => server.end())
    server.on('end', () => client.end())
    client.on('close', () => {
      this.#pairs.delete(pair)
      server.destroy()
    })
    server.on('close', () => client.destroy())
  }

  #break({ client, server }: Pair): void {
    client.resetAndDestroy()
    server.resetAndDestroy()
  }

  /** @returns the methods of requests that begin here */
  #note(bytes: Buffer): string {
    const text = bytes.toString('latin1')
    let methods = ''
    for (const [line] of text.matchAll(/^(?:GET|HEAD|POST|PATCH|DELETE|OPTIONS) \S+ HTTP/gm)) {
      this.requests.push(line.replace(/ HTTP$/, ''))
      methods += `${line.split(' ', 1)[0]} `
    }
    for (const [, offset] of text.matchAll(/^Upload-Offset: (\d+)\r$/gim)) {
      this.offsets.push(Number(offset))
    }
    return methods
  }
}

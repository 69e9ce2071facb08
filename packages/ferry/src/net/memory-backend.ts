/**
 * A network in memory: what a test writes on the far side, the client reads, and the other way round.
 * Delivery is synchronous, so every order of events can be written down in a test.
 */
import type { ConnectError } from '../errors.ts'
import type {
  ConnectOptions,
  NetworkBackend,
  NetworkStream,
  StreamInfo,
  StreamReader,
} from './network-backend.ts'

/** The client's end of a connection in memory, and the test's hold on it. */
export class MemoryStream implements NetworkStream {
  readonly info: StreamInfo = {
    remoteAddress: 'memory',
    remotePort: undefined,
    localAddress: 'memory',
    localPort: undefined,
    alpnProtocol: undefined,
    tlsVersion: undefined,
  }
  /** Everything that the client has written, one character a byte. */
  written = ''
  paused = false
  idle = false
  closed = false
  #reader: StreamReader | undefined
  #held: (() => void)[] = []
  #onWrite: ((stream: MemoryStream) => void) | undefined

  constructor(onWrite?: (stream: MemoryStream) => void) {
    this.#onWrite = onWrite
  }

  /** The far side sends; held back while the client has paused. */
  send(bytes: string | Uint8Array): void {
    const chunk = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes)
    this.#deliver(() => {
      const offered = this.#reader?.nextBuffer()
      if (offered === undefined || offered.length < chunk.length) {
        this.#reader?.onBytes(chunk)
      } else {
        chunk.copy(offered)
        this.#reader?.onBytes(offered.subarray(0, chunk.length))
      }
    })
  }

  /** The far side closes. */
  sendEnd(): void {
    this.#deliver(() => this.#reader?.onEnd())
  }

  /** The connection breaks. */
  fail(error: Error): void {
    if (this.closed) return
    this.closed = true
    this.#reader?.onError(error)
  }

  read(reader: StreamReader): void {
    this.#reader = reader
  }

  write(bytes: string | Uint8Array): boolean {
    if (this.closed) return true
    this.written += typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('latin1')
    this.#onWrite?.(this)
    return true
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    while (!this.paused) {
      const next = this.#held.shift()
      if (next === undefined) return
      next()
    }
  }

  setIdle(idle: boolean): void {
    this.idle = idle
  }

  close(): void {
    this.closed = true
    this.#reader = undefined
  }

  #deliver(event: () => void): void {
    if (this.closed) return
    if (this.paused) this.#held.push(event)
    else event()
  }
}

/** Opens connections in memory and keeps them for the test to look at. */
export class MemoryBackend implements NetworkBackend {
  /** Every stream that was opened, in order. */
  readonly streams: MemoryStream[] = []
  /** What was asked for, in order. */
  readonly requests: ConnectOptions[] = []
  /** While set, connections fail with it. */
  refuse: ConnectError | undefined
  #onWrite: ((stream: MemoryStream) => void) | undefined

  constructor(onWrite?: (stream: MemoryStream) => void) {
    this.#onWrite = onWrite
  }

  async connect(options: ConnectOptions): Promise<NetworkStream> {
    this.requests.push(options)
    await Promise.resolve()
    options.signal?.throwIfAborted()
    if (this.refuse !== undefined) throw this.refuse
    const stream = new MemoryStream(this.#onWrite)
    this.streams.push(stream)
    return stream
  }
}

/**
 * A network in memory: what a test writes on the far side, the client reads, and the other way round.
 * Delivery is synchronous, so every order of events can be written down in a test.
 */
import type { ConnectError } from '../errors.ts'
import type {
  ConnectOptions,
  ExtraInfo,
  NetworkBackend,
  NetworkStream,
  StartTlsOptions,
  StreamReader,
} from './network-backend.ts'

/** What the far side has done. */
type Arrival =
  | { readonly type: 'bytes'; readonly bytes: Buffer }
  | { readonly type: 'end' }
  | { readonly type: 'error'; readonly error: Error }

/** The client's end of a connection in memory, and the test's hold on it. */
export class MemoryStream implements NetworkStream {
  /** Everything that the client has written, one character a byte. */
  written = ''
  paused = false
  idle = false
  closed = false
  /** While set, the far side reads nothing: what is written is not flushed until `flush()`. */
  stalled = false
  /** The client has said that it sends no more. */
  ended = false
  extraInfo: ExtraInfo = {
    peer: { address: 'memory', port: undefined },
    local: { address: 'memory', port: undefined },
    tls: undefined,
  }
  #reader: StreamReader | undefined
  /** What has come and waits for a reader or for `resume()`, in order. */
  #waiting: Arrival[] = []
  #delivering = false
  #unflushed: (() => void)[] = []
  #onWrite: ((stream: MemoryStream) => void) | undefined

  constructor(onWrite?: (stream: MemoryStream) => void) {
    this.#onWrite = onWrite
  }

  /** The far side sends; held back while the client has paused or nobody reads. */
  send(bytes: string | Uint8Array): void {
    const chunk = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes)
    this.#arrive({ type: 'bytes', bytes: chunk })
  }

  /** The far side closes. */
  sendEnd(): void {
    this.#arrive({ type: 'end' })
  }

  /** The connection breaks. */
  fail(error: Error): void {
    if (this.closed) return
    this.#arrive({ type: 'error', error })
    this.closed = true
    this.flush()
  }

  getExtraInfo<Name extends keyof ExtraInfo>(name: Name): ExtraInfo[Name] {
    return this.extraInfo[name]
  }

  read(reader: StreamReader): void {
    this.#reader = reader
    this.#deliver()
  }

  unread(bytes: Uint8Array): void {
    this.#reader = undefined
    if (bytes.length > 0) this.#waiting.unshift({ type: 'bytes', bytes: Buffer.from(bytes) })
  }

  write(bytes: string | Uint8Array, onFlushed?: () => void): void {
    if (!this.closed && !this.ended) {
      this.written += typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('latin1')
      this.#onWrite?.(this)
    }
    if (onFlushed === undefined) return
    if (this.stalled && !this.closed) this.#unflushed.push(onFlushed)
    else queueMicrotask(onFlushed)
  }

  /** The far side reads again what it had left waiting. */
  flush(): void {
    this.stalled = false
    for (const onFlushed of this.#unflushed.splice(0)) queueMicrotask(onFlushed)
  }

  end(): void {
    this.ended = true
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.#deliver()
  }

  setIdle(idle: boolean): void {
    this.idle = idle
  }

  close(): void {
    this.closed = true
    this.#reader = undefined
    this.#waiting = []
    this.flush()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #arrive(arrival: Arrival): void {
    if (this.closed) return
    this.#waiting.push(arrival)
    this.#deliver()
  }

  #deliver(): void {
    // A reader may resume while it is given bytes: the rest must not overtake them.
    if (this.#delivering) return
    this.#delivering = true
    for (let reader = this.#reader; reader !== undefined; reader = this.#reader) {
      const next = this.#waiting[0]
      // A break is told during a pause too, unless bytes came before it.
      if (next === undefined || (this.paused && next.type !== 'error')) break
      this.#waiting.shift()
      this.#give(reader, next)
    }
    this.#delivering = false
  }

  #give(reader: StreamReader, arrival: Arrival): void {
    if (arrival.type === 'bytes') {
      give(reader, arrival.bytes)
      return
    }
    this.#reader = undefined
    // For whoever reads next.
    this.#waiting = [arrival]
    if (arrival.type === 'end') reader.onEnd()
    else reader.onError(arrival.error)
  }
}

/** In the reader's own memory, where it offers enough. */
function give(reader: StreamReader, bytes: Buffer): void {
  const offered = reader.nextBuffer?.()
  if (offered === undefined || offered.length < bytes.length) {
    reader.onBytes(bytes)
  } else {
    bytes.copy(offered)
    reader.onBytes(offered.subarray(0, bytes.length))
  }
}

/** Opens connections in memory and keeps them for the test to look at. */
export class MemoryBackend implements NetworkBackend {
  /** Every stream that was opened, in order. */
  readonly streams: MemoryStream[] = []
  /** What was asked for, in order. */
  readonly requests: ConnectOptions[] = []
  /** For whom TLS was asked for on an open stream, in order. */
  readonly tlsRequests: StartTlsOptions[] = []
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

  /** Protects nothing: notes what was asked for, and hands the stream back. */
  async startTls(stream: NetworkStream, options: StartTlsOptions): Promise<NetworkStream> {
    this.tlsRequests.push(options)
    await Promise.resolve()
    // As the port says: whatever fails, nothing is left open.
    if (options.signal?.aborted === true) stream.close()
    options.signal?.throwIfAborted()
    return stream
  }
}

/**
 * A client for protocols over plain TCP or TLS: calls that connect, send, and read bytes, lines and
 * blocks, each with a limit of time and a signal.
 *
 * Owns the connection of the moment and when there is a new one; what happens on one connection is
 * the affair of tcp-client-connection.ts. Nothing is sent a second time by itself.
 */
import { ConnectError, StreamError } from '../errors.ts'
import { formatPeer } from './connect-reasons.ts'
import type { ExtraInfo, NetworkStream, TlsOptions } from './network-backend.ts'
import { connectWithRetries } from './tcp-client-connect.ts'
import { TcpConnection, type TcpRead } from './tcp-client-connection.ts'
import {
  checkLimit,
  checkTimeout,
  resolveTcpClientOptions,
  type TcpClientOptions,
  type TcpClientSettings,
} from './tcp-client-options.ts'
import { readSome, readThrough, readWhole, withoutLineEnding } from './tcp-client-reads.ts'
import type { TcpLimits } from './tcp-client-sender.ts'
import { TcpTurns } from './tcp-client-turns.ts'

/** Settings of one call. */
export interface TcpCallOptions {
  /** Instead of the client's, in ms. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Settings of a read that looks for an end. */
export interface TcpSearchOptions extends TcpCallOptions {
  /** The most bytes, the delimiter included. @defaultValue `maxLineBytes` of the client */
  readonly limit?: number | undefined
}

/** Settings of the reading of a line. */
export interface TcpLineOptions extends TcpSearchOptions {
  /** What the line's bytes are; those that are none become U+FFFD. @defaultValue 'utf8' */
  readonly encoding?: BufferEncoding | undefined
}

const DEFAULT_RECEIVE_BYTES = 65_536
const LINE_FEED = Buffer.from('\n')

/**
 * A TCP client. Whoever makes it closes it.
 *
 * One read at a time; sends wait for each other. A read that fails, times out or is aborted loses
 * nothing: what had come is given to the next one. A send that is given up halfway closes the
 * connection, since half a message is on the way then.
 *
 * @example
 * await using client = new TcpClient({ host: 'localhost', port: 6379 })
 * await client.connect()
 * await client.send('PING\r\n')
 * console.log(await client.readLine())
 */
export class TcpClient implements AsyncDisposable {
  readonly #settings: TcpClientSettings
  readonly #peer: string
  readonly #sends = new TcpTurns()
  #connection: TcpConnection | undefined
  /** Aborts the connecting, or the handshake, that is under way. */
  #opening: AbortController | undefined
  /** The connection of the moment was protected by `startTls()`; a new one would not be. */
  #upgraded = false

  /**
   * @throws {TypeError} for an option of the wrong type
   * @throws {ConfigError} for one that cannot be used
   */
  constructor(options: TcpClientOptions) {
    this.#settings = resolveTcpClientOptions(options)
    this.#peer = formatPeer(this.#settings.host, this.#settings.port)
  }

  /** Whether there is a connection and, as far as is known, the peer is still there. */
  get isConnected(): boolean {
    return this.#connection?.isLost === false
  }

  /**
   * Connects; does nothing when there is a connection. A lost one is replaced, and what it had brought
   * is dropped. Failed attempts are repeated as `retries` says, each with the whole time.
   * @throws {ConnectError} or {TimeoutError} phase `connect`: that of the last attempt
   * @throws {StreamError} when `close()` is called meanwhile
   * @throws {ConfigError} when an option of TLS cannot be used
   * @throws {TypeError} while another `connect()` or `startTls()` is running
   */
  async connect(options: Pick<TcpCallOptions, 'signal'> = {}): Promise<void> {
    options.signal?.throwIfAborted()
    if (this.isConnected) return
    const lost = this.#connection
    await this.#adopt('connect to', options.signal, (signal) =>
      connectWithRetries(this.#settings, signal),
    )
    lost?.close()
    this.#upgraded = false
  }

  /**
   * Sends bytes, text as UTF-8; fulfilled when the system has them all, which says nothing of the
   * peer. The bytes must not change until then.
   * @throws {StreamError} when there is no connection, or it gets lost: nobody knows then how much
   * has arrived
   * @throws {TimeoutError} phase `body` when the peer takes nothing for `timeoutMs`; the connection
   * is closed
   */
  async send(bytes: string | Uint8Array, options: TcpCallOptions = {}): Promise<void> {
    const content = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
    if (!(content instanceof Uint8Array)) {
      throw new TypeError('Cannot send: expected a string or bytes')
    }
    const limits = this.#limitsOf(options)
    await this.#sends.run(async () => {
      if (this.#mayReconnect()) await this.connect({ signal: options.signal })
      await this.#connected('send to').sender.write(content, limits)
    }, options.signal)
  }

  /** Tells the peer that no more will be sent, after what is being sent; reading goes on. */
  async end(options: Pick<TcpCallOptions, 'signal'> = {}): Promise<void> {
    await this.#sends.run(() => {
      this.#connected('end the sending to').sender.end()
      return Promise.resolve()
    }, options.signal)
  }

  /**
   * Gives the next bytes as soon as there are any, at most `size`; none at the end of the stream.
   * @throws {StreamError} when the connection broke, after all that came before is read
   * @throws {TimeoutError} phase `body`
   * @throws {TypeError} while another read is waiting, as the other reads do
   */
  receive(size: number = DEFAULT_RECEIVE_BYTES, options: TcpCallOptions = {}): Promise<Buffer> {
    return this.#read(() => readSome(checkSize(size, 1)), options)
  }

  /**
   * Gives exactly `length` bytes.
   * @throws {StreamError} when the stream ends before: `bytesReceived` tells how many there are,
   * which can still be read
   */
  readExactly(length: number, options: TcpCallOptions = {}): Promise<Buffer> {
    return this.#read(() => readWhole(checkSize(length, 0)), options)
  }

  /**
   * Gives everything up to the delimiter, and the delimiter; undefined at the end of the stream.
   * @throws {RemoteProtocolError} when it does not come within `limit` bytes
   * @throws {StreamError} when the stream ends before it; what had come can still be read
   */
  readUntil(
    delimiter: string | Uint8Array,
    options: TcpSearchOptions = {},
  ): Promise<Buffer | undefined> {
    return this.#read(() => {
      const bytes = Buffer.from(delimiter)
      if (bytes.length === 0) throw new RangeError('Cannot read until a delimiter of no bytes')
      return readThrough(bytes, { limit: this.#searchLimit(options), what: 'up to a delimiter' })
    }, options)
  }

  /**
   * Gives the next line without its ending, LF or CRLF; undefined at the end of the stream.
   * @throws {RemoteProtocolError} when it is longer than `limit` bytes
   * @throws {StreamError} when the stream ends in the middle of it; what had come can still be read
   */
  async readLine(options: TcpLineOptions = {}): Promise<string | undefined> {
    const line = await this.#read(
      () => readThrough(LINE_FEED, { limit: this.#searchLimit(options), what: 'a line' }),
      options,
    )
    return line && withoutLineEnding(line).toString(options.encoding ?? 'utf8')
  }

  /** Gives what comes, piece by piece, to the end of the stream. Leaving the loop closes nothing. */
  async *chunks(options: TcpCallOptions = {}): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const chunk = await this.receive(DEFAULT_RECEIVE_BYTES, options)
      if (chunk.length === 0) return
      yield chunk
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    return this.chunks()
  }

  /**
   * Protects the connection by TLS from here on, after what is being sent; the certificate must be for
   * `host`, unless `tls.serverName` names another. When it fails the connection is closed.
   * @throws {ConnectError} tls-failed, also when bytes have come that belong before the handshake
   * @throws {TimeoutError} phase `connect`, {ConfigError}, or {TypeError} while a read is waiting
   */
  async startTls(tls: TlsOptions = {}, options: TcpCallOptions = {}): Promise<void> {
    const { timeoutMs, signal } = this.#limitsOf(options)
    await this.#sends.run(async () => {
      const connection = this.#connected('start TLS with')
      if (connection.isReading) throw new TypeError('Cannot start TLS: a read is waiting')
      await this.#adopt('start TLS with', signal, (both) => {
        this.#connection = undefined
        return this.#secure(connection, { tls, timeoutMs, signal: both })
      })
      this.#upgraded = true
    }, signal)
  }

  /** What is known of the connection: both ends, and its TLS. Undefined while there is none. */
  getExtraInfo<Name extends keyof ExtraInfo>(name: Name): ExtraInfo[Name] {
    return this.#connection?.stream.getExtraInfo(name)
  }

  /**
   * Closes at once, and ends what is running: reads and sends with a StreamError. Idempotent. What must
   * arrive is awaited before: the sends, then `end()`, then the end of the stream. `connect()` may
   * follow.
   */
  close(): Promise<void> {
    const opening = this.#opening
    const connection = this.#connection
    this.#opening = undefined
    this.#connection = undefined
    connection?.close()
    opening?.abort(new StreamError(`Cannot open a connection to ${this.#peer}: it was closed here`))
    return Promise.resolve()
  }

  /** The same as `close()`. */
  disconnect(): Promise<void> {
    return this.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** `TcpClient(host=localhost, port=6379) connected`. */
  toString(): string {
    const { host, port } = this.#settings
    const state = this.isConnected ? 'connected' : 'disconnected'
    return `TcpClient(host=${host}, port=${port}) ${state}`
  }

  /** Opens a stream and makes it the client's connection, unless the client is closed meanwhile. */
  async #adopt(
    attempted: string,
    signal: AbortSignal | undefined,
    open: (signal: AbortSignal) => Promise<NetworkStream>,
  ): Promise<void> {
    if (this.#opening !== undefined) {
      throw new TypeError(`Cannot ${attempted} ${this.#peer}: the client is connecting already`)
    }
    const opening = new AbortController()
    this.#opening = opening
    try {
      const both = signal === undefined ? [opening.signal] : [opening.signal, signal]
      const stream = await open(AbortSignal.any(both))
      // It may have been closed, or aborted, in the turn in which the stream was ready.
      const closed = both.find(({ aborted }) => aborted)
      if (closed !== undefined) stream.close()
      closed?.throwIfAborted()
      const { clock, bytesPerSecond } = this.#settings
      this.#connection = new TcpConnection(stream, { peer: this.#peer, clock, bytesPerSecond })
    } finally {
      if (this.#opening === opening) this.#opening = undefined
    }
  }

  async #secure(
    connection: TcpConnection,
    options: { tls: TlsOptions; timeoutMs: number; signal: AbortSignal },
  ): Promise<NetworkStream> {
    const { host, port, backend } = this.#settings
    // What comes from now on waits in the stream, and makes the backend refuse: plain bytes taken for
    // protected ones would let anybody on the way speak for the peer (RFC 3207 §6).
    if (!connection.hasUnread) {
      return await backend.startTls(connection.release(), { host, port, ...options })
    }
    connection.close()
    throw new ConnectError(
      'tls',
      `Cannot secure the connection to ${this.#peer}: bytes came before the handshake`,
    )
  }

  async #read<Value>(create: () => TcpRead<Value>, options: TcpCallOptions): Promise<Value> {
    const limits = this.#limitsOf(options)
    return await this.#connected('read from').read(create(), limits)
  }

  #connected(attempted: string): TcpConnection {
    if (this.#connection !== undefined) return this.#connection
    throw new StreamError(`Cannot ${attempted} ${this.#peer}: not connected`)
  }

  /** Only a connection that was lost, not one that was closed, ended or protected by us. */
  #mayReconnect(): boolean {
    return this.#settings.reconnect && this.#connection?.isLost === true && !this.#upgraded
  }

  #limitsOf({ timeoutMs, signal }: TcpCallOptions): TcpLimits {
    return { timeoutMs: checkTimeout(timeoutMs ?? this.#settings.timeoutMs), signal }
  }

  #searchLimit({ limit }: TcpSearchOptions): number {
    return checkLimit('limit', limit ?? this.#settings.maxLineBytes)
  }
}

function checkSize(value: number, least: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new RangeError(`Cannot read ${value} bytes: expected a whole number from ${least}`)
}

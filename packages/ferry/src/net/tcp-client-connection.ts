/**
 * One connection of a TcpClient: a NetworkStream turned into calls that wait.
 *
 * Owns what has come and is not taken, the one read that waits for more, and how the connection has
 * ended. Bytes stay in the buffer until a read takes all that it wants: one that fails, times out or
 * is aborted loses nothing. The sending half is in tcp-client-sender.ts.
 */
import { StreamError, TimeoutError } from '../errors.ts'
import { reasonOf } from './connect-reasons.ts'
import type { NetworkStream, StreamReader } from './network-backend.ts'
import { TcpReadBuffer } from './tcp-client-buffer.ts'
import { TcpPace } from './tcp-client-pace.ts'
import {
  type TcpConnectionSettings,
  type TcpEnding,
  type TcpLimits,
  TcpSender,
} from './tcp-client-sender.ts'

/** A read: what it wants of the bytes that have come. */
export interface TcpRead<Value> {
  /** For messages: `read a line`. */
  readonly attempted: string
  /** Bytes that may have to be held for it. */
  readonly wantedBytes: number
  /** Bytes that the caller knows must come; undefined when it does not know. */
  readonly expectedBytes?: number | undefined
  /**
   * Takes from the buffer and gives the value; undefined while it needs more, and then it takes
   * nothing. `ended` is true when no more will come. May throw, and takes nothing then.
   */
  take(buffer: TcpReadBuffer, ended: boolean): { readonly value: Value } | undefined
}

/**
 * open · ended: the peer has closed, what came before can still be read · broken: so too, but by an
 * error · closed: by us
 */
type TcpConnectionState = 'open' | 'ended' | 'broken' | 'closed'

// What may lie here unread before the peer has to wait, unless a read wants more at once.
const MAX_BUFFERED_BYTES = 65_536

/** A connection. Whoever makes it closes it. */
export class TcpConnection implements StreamReader {
  readonly stream: NetworkStream
  readonly sender: TcpSender
  readonly #settings: TcpConnectionSettings
  readonly #buffer = new TcpReadBuffer()
  readonly #pace: TcpPace | undefined
  #state: TcpConnectionState = 'open'
  #ending: TcpEnding = { why: '' }
  /** The read that waits. */
  #pending: { readonly wantedBytes: number; readonly look: () => void } | undefined
  #paused = false
  /** Ends the pause that keeps the pace; undefined when there is none. */
  #cancelRest: (() => void) | undefined

  /** Takes the stream over and begins to read. */
  constructor(stream: NetworkStream, settings: TcpConnectionSettings) {
    this.stream = stream
    this.#settings = settings
    this.sender = new TcpSender(stream, settings, (ending) => {
      this.#finish('broken', ending)
      stream.close()
    })
    const { bytesPerSecond } = settings
    this.#pace = bytesPerSecond === undefined ? undefined : new TcpPace(bytesPerSecond)
    stream.read(this)
  }

  /** Whether the peer has gone, as far as is known. */
  get isLost(): boolean {
    return this.#state === 'ended' || this.#state === 'broken' || this.sender.hasFailed
  }

  /** Whether bytes have come that nobody has taken. */
  get hasUnread(): boolean {
    return this.#buffer.length > 0
  }

  get isReading(): boolean {
    return this.#pending !== undefined
  }

  /**
   * Gives what the read gives, at once when it can.
   * @throws {StreamError} when the connection ends or is closed first
   * @throws {TimeoutError} phase `body`, {TypeError} while another read waits, or `signal.reason`
   */
  async read<Value>(read: TcpRead<Value>, limits: TcpLimits): Promise<Value> {
    limits.signal?.throwIfAborted()
    if (this.#pending !== undefined) {
      throw new TypeError(`${this.#cannotRead(read)}: another read is waiting`)
    }
    const taken = this.#tryRead(read)
    const value = taken === undefined ? await this.#waitFor(read, limits) : taken.value
    this.#throttle()
    return value
  }

  /** Closes both directions at once. Idempotent. */
  close(): void {
    this.#finish('closed', { why: 'it was closed here' })
    this.stream.close()
  }

  /** Gives the stream away without a reader: what comes from now on waits in it. */
  release(): NetworkStream {
    this.stream.unread(new Uint8Array(0))
    this.#finish('closed', { why: 'it was handed over' })
    if (this.#paused) this.stream.resume()
    return this.stream
  }

  onBytes(bytes: Buffer): void {
    this.#buffer.append(bytes)
    this.#rest(bytes.length)
    this.#pending?.look()
    this.#throttle()
  }

  onEnd(): void {
    this.#finish('ended', { why: 'the peer has closed the connection' })
  }

  onError(cause: Error): void {
    this.#finish('broken', { why: reasonOf(cause), cause })
  }

  /** Small reads keep the pace even; without one the stream chooses. */
  nextBuffer(): Buffer | undefined {
    if (this.#pace === undefined) return undefined
    return Buffer.allocUnsafe(Math.min(MAX_BUFFERED_BYTES, this.#pace.sliceBytes))
  }

  async #waitFor<Value>(read: TcpRead<Value>, { timeoutMs, signal }: TcpLimits): Promise<Value> {
    const { promise, resolve, reject } = Promise.withResolvers<Value>()
    const fail = (reason: unknown): void => {
      this.#pending = undefined
      reject(reason)
    }
    const look = (): void => {
      try {
        const found = this.#tryRead(read)
        if (found === undefined) return
        // From here on another read may begin.
        this.#pending = undefined
        resolve(found.value)
      } catch (error) {
        fail(error)
      }
    }
    const message = `${this.#cannotRead(read)}: not done within ${timeoutMs} ms`
    const cancelTimer = this.#settings.clock.after(timeoutMs, () =>
      fail(new TimeoutError('body', timeoutMs, message)),
    )
    const onAbort = (): void => fail(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#pending = { wantedBytes: read.wantedBytes, look }
    this.#throttle()
    try {
      return await promise
    } finally {
      cancelTimer()
      signal?.removeEventListener('abort', onAbort)
      this.#throttle()
    }
  }

  #tryRead<Value>(read: TcpRead<Value>): { readonly value: Value } | undefined {
    const taken = read.take(this.#buffer, this.#state === 'ended')
    if (taken !== undefined || this.#state === 'open') return taken
    const { why, ...rest } = this.#ending
    throw new StreamError(`${this.#cannotRead(read)}: ${why}`, {
      ...rest,
      bytesReceived: this.#buffer.length,
      expectedBytes: read.expectedBytes,
    })
  }

  #cannotRead({ attempted }: { readonly attempted: string }): string {
    return `Cannot ${attempted} from ${this.#settings.peer}`
  }

  #finish(state: TcpConnectionState, ending: TcpEnding): void {
    if (this.#state !== 'open' && state !== 'closed') return
    this.#state = state
    this.#ending = ending
    this.sender.stop(ending)
    this.#cancelRest?.()
    this.#cancelRest = undefined
    this.#pending?.look()
  }

  /** After bytes that came faster than they may. */
  #rest(bytes: number): void {
    const { clock } = this.#settings
    this.#pace?.note(bytes, clock.now())
    const restMs = this.#pace?.delayMs(clock.now()) ?? 0
    if (restMs === 0 || this.#cancelRest !== undefined) return
    this.#cancelRest = clock.after(restMs, () => {
      this.#cancelRest = undefined
      this.#throttle()
    })
  }

  /** Lets the stream bring more, or makes the peer wait. */
  #throttle(): void {
    if (this.#state !== 'open') return
    const room = Math.max(MAX_BUFFERED_BYTES, this.#pending?.wantedBytes ?? 0)
    const pause = this.#buffer.length >= room || this.#cancelRest !== undefined
    if (pause === this.#paused) return
    this.#paused = pause
    if (pause) this.stream.pause()
    else this.stream.resume()
  }
}

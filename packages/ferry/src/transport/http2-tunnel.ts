/**
 * A stream of an HTTP/2 connection as a stream of the network, after CONNECT (RFC 9113 §8.5,
 * RFC 8441): what was framed as content are the bytes of another protocol.
 *
 * Owns what has come and was not taken, at most one window of it. The connection owns the stream
 * below; closing this one resets it, and leaves the connection as it is.
 */
import { StreamError } from '../errors.ts'
import { HeldBytes } from '../net/held-bytes.ts'
import type { ExtraInfo, NetworkStream, StreamReader } from '../net/network-backend.ts'
import { nameOfErrorCode } from '../protocol/http2/error-code.ts'
import type { Http2Stream, StreamFailure, StreamHandler } from '../protocol/http2/http2-stream.ts'
import type { OnTaken } from './content-sink.ts'
import { throwLater } from './throw-later.ts'

/** What a tunnel asks of its connection. */
export interface Http2TunnelOwner {
  getExtraInfo<Name extends keyof ExtraInfo>(name: Name): ExtraInfo[Name]
  /** Queues bytes; `onTaken` is told as they are copied, or when they will not be needed. */
  sendOn(stream: Http2Stream, bytes: Uint8Array, onTaken: OnTaken): void
  sendEndOn(stream: Http2Stream): void
  consume(stream: Http2Stream, bytes: number): void
  resetTunnel(tunnel: Http2Tunnel): void
}

/** A tunnel through an HTTP/2 connection. */
export class Http2Tunnel implements NetworkStream, StreamHandler {
  readonly method = 'CONNECT'
  readonly stream: Http2Stream
  readonly #owner: Http2TunnelOwner
  #reader: StreamReader | undefined
  readonly #held = new HeldBytes()
  #outcome: 'end' | Error | undefined
  #paused = false
  #delivering = false
  /** We have closed it. */
  #closed = false
  /** Nothing can be sent any more. */
  #writable = true

  constructor(owner: Http2TunnelOwner, stream: Http2Stream) {
    this.#owner = owner
    this.stream = stream
  }

  // ── NetworkStream

  getExtraInfo<Name extends keyof ExtraInfo>(name: Name): ExtraInfo[Name] {
    return this.#owner.getExtraInfo(name)
  }

  read(reader: StreamReader): void {
    if (this.#closed) return
    this.#reader = reader
    this.#deliver()
  }

  unread(bytes: Uint8Array): void {
    if (this.#closed) return
    this.#reader = undefined
    this.#held.unshift(bytes)
  }

  write(bytes: string | Uint8Array, onFlushed: () => void = () => {}): void {
    const content = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
    let left = content.length
    const onTaken = (taken: number): void => {
      left -= taken
      // Never told before this returns, whatever the stream does.
      if (left === 0) queueMicrotask(onFlushed)
    }
    if (this.#writable) this.#owner.sendOn(this.stream, content, onTaken)
    else onTaken(left)
  }

  end(): void {
    if (this.#writable) this.#owner.sendEndOn(this.stream)
    this.#writable = false
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#deliver()
  }

  /** Of no effect: the connection keeps the process alive while it has a stream. */
  setIdle(): void {}

  close(): void {
    if (this.#closed) return
    this.#letGo()
    this.#owner.resetTunnel(this)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  // ── StreamHandler

  onInformation(): void {}

  onHead(): void {}

  onContent(bytes: Buffer, start: number, end: number): void {
    const content = bytes.subarray(start, end)
    if (this.#closed) return
    if (this.#reader === undefined || this.#paused || this.#delivering || this.#held.length > 0) {
      this.stream.heldBack = true
      this.#held.push(content)
    } else {
      this.#give(this.#reader, content)
    }
  }

  onEnd(): void {
    this.#finish('end')
  }

  onFailure(failure: StreamFailure): void {
    const why = failure.type === 'fault' ? failure.fault.message : nameOfErrorCode(failure.code)
    this.fail(new StreamError(`Cannot go on with the tunnel: its stream was ended (${why})`))
  }

  onSendingRefused(): void {}

  /** The stream is over, or the connection is. */
  fail(error: Error): void {
    this.#writable = false
    this.#finish(error)
  }

  #give(reader: StreamReader, content: Buffer): void {
    const { length } = content
    this.#tell(() => reader.onBytes(content))
    this.#owner.consume(this.stream, length)
  }

  #finish(outcome: 'end' | Error): void {
    if (this.#outcome !== undefined || this.#closed) return
    this.#outcome = outcome
    this.#deliver()
  }

  /** Gives the reader what is held, then the outcome. */
  #deliver(): void {
    // A reader may pause, resume or hand over while it is given bytes; the loop sees it.
    if (this.#delivering) return
    this.#delivering = true
    while (this.#reader !== undefined && !this.#paused) {
      const bytes = this.#held.shift()
      if (bytes === undefined) break
      // Its reader did not keep up with this one, however quick it is now.
      this.stream.heldBack = true
      this.#give(this.#reader, bytes)
    }
    this.#delivering = false
    this.#tellOutcome()
  }

  /** A break is told during a pause too, unless bytes came before it. */
  #tellOutcome(): void {
    const outcome = this.#outcome
    const reader = this.#reader
    if (outcome === undefined || reader === undefined || this.#held.length > 0) return
    if (outcome === 'end' && this.#paused) return
    this.#reader = undefined
    this.#tell(() => (outcome === 'end' ? reader.onEnd() : reader.onError(outcome)))
  }

  /** What a reader throws is an uncaught exception, and harms neither the connection nor others on it. */
  #tell(call: () => void): void {
    try {
      call()
    } catch (thrown) {
      this.close()
      throwLater(thrown)
    }
  }

  #letGo(): void {
    this.#closed = true
    this.#writable = false
    this.#reader = undefined
    this.#held.clear()
  }
}

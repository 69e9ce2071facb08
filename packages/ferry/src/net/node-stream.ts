/**
 * A NetworkStream on a socket of node:net or node:tls, read through `onread`.
 *
 * All streams read into one shared slab unless their reader offers memory of its own. That is safe
 * because the system fills the slab and calls back in the same turn, and nobody may keep its bytes.
 * What comes while nobody can take it (no reader yet, or, over TLS, records decrypted in the turn of
 * a pause) is copied and held; a reader's memory is never left lying under the socket meanwhile, or
 * a later read would overwrite what the reader has put there out of the held bytes.
 */
import type { OnReadOpts, Socket } from 'node:net'
import { HeldBytes } from './held-bytes.ts'
import { readOnAfterFailedWrite } from './read-after-failed-write.ts'
import type {
  Endpoint,
  ExtraInfo,
  NetworkStream,
  StreamReader,
  TlsSession,
} from './network-backend.ts'

// One read of the kernel's receive buffer on loopback or a fast link fits; larger gains nothing.
const SHARED_SLAB_BYTES = 262_144
// What a peer may send before anybody reads: a greeting, the beginning of a tunnelled protocol.
const MAX_HELD_BYTES = 65_536
let sharedSlab: Buffer | undefined

function slab(): Buffer {
  sharedSlab ??= Buffer.allocUnsafeSlow(SHARED_SLAB_BYTES)
  return sharedSlab
}

/** What TLS adds to a socket. */
export interface TlsLayer {
  /** Fulfilled once the handshake is done and the peer accepted; rejects with a ConnectError. */
  readonly secured: Promise<void>
  /** What the handshake has settled; undefined when that can no longer be known. */
  session(): TlsSession | undefined
  /**
   * The ConnectError where the peer refuses us after the handshake is done on our side, as it does in
   * TLS 1.3 (RFC 8446 §4.4.2.4); undefined for a connection that broke.
   */
  refusalOf(error: Error): Error | undefined
}

/** A socket and what it carries. */
export interface NodeSocket {
  readonly socket: Socket
  readonly tls?: TlsLayer | undefined
  /** Of a Unix domain socket, which does not know it itself. */
  readonly socketPath?: string | undefined
  /** `onread` was given to the socket; otherwise it is read by events. @defaultValue true */
  readonly hasOnread?: boolean
}

/** A stream on one socket; `attach` gives it the socket, which `onread` must have been passed to. */
export class NodeStream implements NetworkStream {
  readonly onread: OnReadOpts = {
    buffer: () => this.#nextBuffer() as Uint8Array,
    callback: (length, buffer) => this.#onRead(length, buffer as Buffer),
  }
  /** Undefined once the stream is closed or its socket given away. */
  #node: NodeSocket | undefined
  /** Kept beyond the end: a closed socket still knows what it was asked while it was open. */
  #described: NodeSocket | undefined
  #reader: StreamReader | undefined
  /** The memory that lies under the socket. */
  #current: Buffer | undefined
  readonly #held = new HeldBytes()
  /** How the peer's bytes have ended, whether or not a reader has been told. */
  #outcome: 'end' | Error | undefined
  /** What comes may go to the reader at once. */
  #flowing = false
  #delivering = false
  #paused = false
  /** The socket has been told to stop. */
  #stopped = false
  #writable = true

  /** Takes the socket over. */
  attach(node: NodeSocket): void {
    this.#node = node
    this.#described = node
    const { socket } = node
    readOnAfterFailedWrite(socket)
    // Kept for later; before it is awaited nobody may have looked at it.
    node.tls?.secured.catch(() => {})
    if (node.hasOnread === false) socket.on('data', (bytes: Buffer) => this.#take(bytes))
    socket.on('end', () => this.#finish('end'))
    socket.on('error', (error) => this.#finish(node.tls?.refusalOf(error) ?? error))
    socket.on('close', () => this.#finish('end'))
  }

  /** Fulfilled once the TLS handshake is done; at once without TLS. */
  get secured(): Promise<void> {
    return this.#node?.tls?.secured ?? Promise.resolve()
  }

  getExtraInfo<Name extends keyof ExtraInfo>(name: Name): ExtraInfo[Name] {
    const node = this.#described
    return (node === undefined ? undefined : EXTRA_INFO[name](node)) as ExtraInfo[Name]
  }

  read(reader: StreamReader): void {
    if (this.#node === undefined) return
    this.#reader = reader
    this.#deliver()
  }

  unread(bytes: Uint8Array): void {
    if (this.#node === undefined) return
    this.#reader = undefined
    this.#flowing = false
    this.#held.unshift(bytes)
    this.#throttle()
  }

  write(bytes: string | Uint8Array, onFlushed?: () => void): void {
    const socket = this.#node?.socket
    if (socket === undefined || !this.#writable || socket.destroyed || socket.writableEnded) {
      if (onFlushed !== undefined) queueMicrotask(onFlushed)
    } else if (typeof bytes === 'string') {
      socket.write(bytes, 'latin1', onFlushed)
    } else {
      socket.write(bytes, onFlushed)
    }
  }

  end(): void {
    this.#writable = false
    this.#node?.socket.end()
  }

  pause(): void {
    this.#paused = true
    this.#flowing = false
    this.#throttle()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#deliver()
  }

  setIdle(idle: boolean): void {
    if (idle) this.#node?.socket.unref()
    else this.#node?.socket.ref()
  }

  close(): void {
    this.#letGo()?.socket.destroy()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /**
   * Gives the socket to another stream; this one is closed from now on, though the socket is not.
   * @returns undefined when bytes have come that nobody has read, or when the peer has gone: then
   * the socket is closed
   */
  release(): NodeSocket | undefined {
    const usable = this.#held.length === 0 && this.#outcome === undefined && this.#writable
    const node = this.#letGo()
    if (usable) return node
    node?.socket.destroy()
    return undefined
  }

  /** Takes the socket off; its events find nobody any more. */
  #letGo(): NodeSocket | undefined {
    const node = this.#node
    this.#node = undefined
    this.#reader = undefined
    this.#flowing = false
    this.#held.clear()
    return node
  }

  #nextBuffer(): Buffer | undefined {
    const offered = this.#flowing ? this.#reader?.nextBuffer?.() : undefined
    const next = offered ?? slab()
    if (next === this.#current) return undefined
    this.#current = next
    return next
  }

  #onRead(length: number, buffer: Buffer): boolean {
    this.#take(length === buffer.length ? buffer : buffer.subarray(0, length))
    return !this.#stopped
  }

  #take(bytes: Buffer): void {
    if (this.#flowing) {
      this.#reader?.onBytes(bytes)
    } else if (this.#node !== undefined) {
      this.#held.push(bytes)
      this.#throttle()
    }
  }

  #finish(outcome: 'end' | Error): void {
    if (this.#outcome !== undefined || this.#node === undefined) return
    this.#outcome = outcome
    this.#deliver()
  }

  /** Gives the reader what is held, then the outcome, and lets the socket go on. */
  #deliver(): void {
    // A reader may pause, resume or hand over while it is given bytes; the loop below sees it.
    if (this.#delivering) return
    this.#delivering = true
    this.#flowing = false
    while (this.#reader !== undefined && !this.#paused) {
      const bytes = this.#held.shift()
      if (bytes === undefined) break
      this.#reader.onBytes(bytes)
    }
    this.#delivering = false
    this.#flowing = this.#reader !== undefined && !this.#paused && this.#held.length === 0
    this.#tellOutcome()
    this.#throttle()
  }

  /** A break is told during a pause too, unless bytes came before it. */
  #tellOutcome(): void {
    const outcome = this.#outcome
    const reader = this.#reader
    if (outcome === undefined || reader === undefined || this.#held.length > 0) return
    if (outcome === 'end' && this.#paused) return
    this.#reader = undefined
    this.#flowing = false
    if (outcome === 'end') reader.onEnd()
    else reader.onError(outcome)
  }

  /** Stops the socket when nobody wants more, and starts it again. */
  #throttle(): void {
    const full = this.#reader === undefined && this.#held.length >= MAX_HELD_BYTES
    const stop = this.#paused || full
    if (stop === this.#stopped) return
    this.#stopped = stop
    if (stop) this.#node?.socket.pause()
    else this.#node?.socket.resume()
  }
}

type ExtraInfoReaders = {
  readonly [Name in keyof ExtraInfo]: (node: NodeSocket) => ExtraInfo[Name]
}

const EXTRA_INFO: ExtraInfoReaders = {
  peer: ({ socket, socketPath }) =>
    socketPath === undefined
      ? endpointOf(socket.remoteAddress, socket.remotePort)
      : endpointOf(socketPath, undefined),
  local: ({ socket }) => endpointOf(socket.localAddress, socket.localPort),
  tls: ({ tls }) => tls?.session(),
}

function endpointOf(address: string | undefined, port: number | undefined): Endpoint | undefined {
  return address === undefined ? undefined : { address, port }
}

/**
 * A NetworkStream on a socket of node:net or node:tls, read through `onread`.
 *
 * All streams read into one shared slab unless their reader offers memory of its own. That is safe
 * because the system fills the slab and calls back in the same turn, and nobody may keep its bytes.
 */
import type { OnReadOpts, Socket } from 'node:net'
import type { NetworkStream, StreamInfo, StreamReader } from './network-backend.ts'

// One read of the kernel's receive buffer on loopback or a fast link fits; larger gains nothing.
const SHARED_SLAB_BYTES = 262_144
let sharedSlab: Buffer | undefined

function slab(): Buffer {
  sharedSlab ??= Buffer.allocUnsafeSlow(SHARED_SLAB_BYTES)
  return sharedSlab
}

const NO_INFO: StreamInfo = {
  remoteAddress: undefined,
  remotePort: undefined,
  localAddress: undefined,
  localPort: undefined,
  alpnProtocol: undefined,
  tlsVersion: undefined,
}

/** What TLS adds to a socket. */
export interface TlsLayer {
  /** Fulfilled once the handshake is done; rejects with a ConnectError. */
  readonly secured: Promise<void>
  /** What the handshake has settled. */
  readonly info: () => Pick<StreamInfo, 'alpnProtocol' | 'tlsVersion'>
}

/** A stream on one socket; `attach` gives it the socket, which `onread` must have been passed to. */
export class NodeStream implements NetworkStream {
  readonly onread: OnReadOpts = {
    buffer: () => this.#nextBuffer() as Uint8Array,
    callback: (length, buffer) => this.#onRead(length, buffer as Buffer),
  }
  #socket: Socket | undefined
  #reader: StreamReader | undefined
  #current: Buffer | undefined
  /** Bytes that came before anybody read. */
  #early: Buffer[] = []
  /** What broke the connection before anybody read. */
  #failure: Error | undefined
  #paused = false
  #ended = false
  #closed = false
  #secured: Promise<void> = Promise.resolve()
  #info: StreamInfo = NO_INFO

  /** Fulfilled once the TLS handshake is done; at once without TLS. */
  get secured(): Promise<void> {
    return this.#secured
  }

  get info(): StreamInfo {
    return this.#info
  }

  /** Takes the socket over. */
  attach(socket: Socket, tls?: TlsLayer): void {
    this.#socket = socket
    this.#secured = tls?.secured ?? Promise.resolve()
    // Kept for later readers; before `secured` is awaited nobody may have looked at it.
    this.#secured.catch(() => {})
    socket.once('connect', () => (this.#info = infoOf(socket)))
    socket.once('secureConnect', () => (this.#info = { ...infoOf(socket), ...tls?.info() }))
    socket.on('drain', () => this.#reader?.onDrain())
    socket.on('end', () => {
      this.#ended = true
      this.#reader?.onEnd()
    })
    socket.on('error', (error) => {
      if (this.#closed) return
      this.#closed = true
      if (this.#reader === undefined) this.#failure = error
      else this.#reader.onError(error)
    })
    socket.on('close', () => {
      if (this.#closed || this.#ended) return
      this.#ended = true
      this.#reader?.onEnd()
    })
  }

  read(reader: StreamReader): void {
    this.#reader = reader
    const early = this.#early
    this.#early = []
    for (const bytes of early) {
      reader.onBytes(bytes)
      // It may have closed the stream.
      if (this.#reader !== reader) return
    }
    if (this.#failure !== undefined) reader.onError(this.#failure)
    else if (this.#ended && !this.#closed) reader.onEnd()
  }

  write(bytes: string | Uint8Array): boolean {
    const socket = this.#socket
    if (socket === undefined || this.#closed) return true
    return typeof bytes === 'string' ? socket.write(bytes, 'latin1') : socket.write(bytes)
  }

  pause(): void {
    this.#paused = true
    this.#socket?.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#socket?.resume()
  }

  setIdle(idle: boolean): void {
    if (idle) this.#socket?.unref()
    else this.#socket?.ref()
  }

  close(): void {
    this.#closed = true
    this.#failure = undefined
    this.#reader = undefined
    this.#socket?.destroy()
  }

  #nextBuffer(): Buffer | undefined {
    const next = this.#reader?.nextBuffer() ?? slab()
    if (next === this.#current) return undefined
    this.#current = next
    return next
  }

  #onRead(length: number, buffer: Buffer): boolean {
    const bytes = length === buffer.length ? buffer : buffer.subarray(0, length)
    if (this.#reader === undefined) this.#early.push(Buffer.from(bytes))
    else this.#reader.onBytes(bytes)
    return !this.#paused
  }
}

function infoOf(socket: Socket): StreamInfo {
  return {
    ...NO_INFO,
    remoteAddress: socket.remoteAddress,
    remotePort: socket.remotePort,
    localAddress: socket.localAddress,
    localPort: socket.localPort,
  }
}

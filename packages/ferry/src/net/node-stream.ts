/**
 * A NetworkStream on a socket of node:net or node:tls, read through `onread`.
 *
 * All streams read into one shared slab unless their reader offers memory of its own. That is safe
 * because the system fills the slab and calls back in the same turn, and nobody may keep its bytes.
 */
import type { OnReadOpts, Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { ConnectError } from '../errors.ts'
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

  /** Takes the socket over; `peer` names it in errors. */
  attach(socket: Socket, peer: string): void {
    this.#socket = socket
    if (socket instanceof TLSSocket) this.#secured = handshakeOf(socket, peer)
    // Kept for later readers; before `secured` is awaited nobody may have looked at it.
    this.#secured.catch(() => {})
    socket.once('connect', () => (this.#info = infoOf(socket)))
    socket.once('secureConnect', () => (this.#info = infoOf(socket)))
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

/** `host:port` for messages, with the brackets that IPv6 needs. */
export function formatPeer(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** The short reason in a system error: its code where there is one. */
export function reasonOf(cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException
  return REASONS[code ?? ''] ?? (code === undefined ? message : `${message} (${code})`)
}

const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name server does not answer',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by peer',
  ENETUNREACH: 'network unreachable',
  EHOSTUNREACH: 'host unreachable',
  ETIMEDOUT: 'no answer',
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: 'the certificate is not valid yet',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate chain ends in a self-signed one',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate is of an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the certificate is of an unknown authority',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another host',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the server does not speak TLS on this port',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'the server does not speak TLS on this port',
}

function handshakeOf(socket: TLSSocket, peer: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string, cause?: unknown): void =>
      reject(
        new ConnectError('tls', `Cannot secure the connection to ${peer}: ${reason}`, {
          cause,
          detail: { reason: (cause as NodeJS.ErrnoException | undefined)?.code },
        }),
      )
    socket.once('secureConnect', () => resolve())
    socket.once('error', (cause) => fail(reasonOf(cause), cause))
    socket.once('close', () => fail('closed during the handshake'))
  })
}

function infoOf(socket: Socket): StreamInfo {
  const tls = socket instanceof TLSSocket ? socket : undefined
  const alpn = tls?.alpnProtocol
  return {
    remoteAddress: socket.remoteAddress,
    remotePort: socket.remotePort,
    localAddress: socket.localAddress,
    localPort: socket.localPort,
    alpnProtocol: typeof alpn === 'string' ? alpn : undefined,
    tlsVersion: tls?.getProtocol() ?? undefined,
  }
}

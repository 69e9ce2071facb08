/**
 * The port between Ferry and the network: streams of bytes, no HTTP.
 *
 * Bytes come by callback, in memory that is valid only during the callback, so that nothing is
 * copied or allocated on the way. Implementations: `node-backend.ts`, `memory-backend.ts`.
 */

/** Who is at both ends, and how it is protected. */
export interface StreamInfo {
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  readonly localAddress: string | undefined
  readonly localPort: number | undefined
  /** The protocol chosen by ALPN; undefined without TLS or without a choice. */
  readonly alpnProtocol: string | undefined
  /** 'TLSv1.3', for instance; undefined without TLS. */
  readonly tlsVersion: string | undefined
}

/** Takes what a stream brings. Exactly one of `onEnd` and `onError` comes, once, last. */
export interface StreamReader {
  /** Bytes that came; valid only until this returns. */
  onBytes(bytes: Buffer): void
  /** The peer will send no more. */
  onEnd(): void
  /** The stream broke; it is closed already. */
  onError(error: Error): void
  /** Everything that was written has been handed to the system. */
  onDrain(): void
  /**
   * The memory that the next bytes should land in; undefined leaves it to the stream.
   * Asked before each read, so it must be cheap; never empty.
   */
  nextBuffer(): Buffer | undefined
}

/** A two-way stream of bytes. Who opens it closes it. */
export interface NetworkStream {
  readonly info: StreamInfo
  /** Starts reading; bytes that came before are given first. May be called again to hand over. */
  read(reader: StreamReader): void
  /** Text is written one character a byte. Returns false when it had to be queued. */
  write(bytes: string | Uint8Array): boolean
  pause(): void
  resume(): void
  /** While idle, a stream does not keep the process alive. */
  setIdle(idle: boolean): void
  /** Closes both directions at once; idempotent, no callback comes after it. */
  close(): void
}

/** Limits and trust of TLS connections; equal objects share one context. */
export interface TlsOptions {
  /** PEM certificates to trust instead of the system's. */
  readonly ca?: string | readonly string[]
  /** Accepts any certificate: for tests and emergencies. */
  readonly insecure?: boolean
}

/** What to connect to. */
export interface ConnectOptions {
  /** A name or an address; IPv6 without brackets. */
  readonly host: string
  readonly port: number
  /** TLS when given. */
  readonly tls?: TlsOptions | undefined
  /** For each attempt as a whole, resolving included. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

/** Opens streams. */
export interface NetworkBackend {
  /**
   * @throws {ConnectError} resolve-failed, connect-failed or tls-failed
   * @throws {TimeoutError} phase `connect`
   */
  connect(options: ConnectOptions): Promise<NetworkStream>
}

/**
 * The port between Ferry and the network: streams of bytes, no HTTP.
 *
 * Bytes come by callback, in memory that is valid only during the callback, so that nothing is
 * copied or allocated on the way. Implementations: `node-backend.ts`, `memory-backend.ts`;
 * `proxy.ts` connects through a proxy over any of them.
 */

/** One end of a connection. */
export interface Endpoint {
  /** An IP address without brackets; the path of a Unix domain socket. */
  readonly address: string
  /** Undefined for a Unix domain socket. */
  readonly port: number | undefined
}

/** What a TLS handshake has settled. */
export interface TlsSession {
  /** 'TLSv1.3', for instance. */
  readonly version: string
  /** The cipher suite by its OpenSSL name. */
  readonly cipher: string
  /** The protocol chosen by ALPN; undefined without a choice. */
  readonly alpnProtocol: string | undefined
  /** Whether an earlier session was taken up again, which saves work and, before 1.3, a round trip. */
  readonly resumed: boolean
  /** Whether the certificate was accepted; false only where `insecure` let it pass. */
  readonly authorized: boolean
  /** SHA-256 of the peer's certificate (DER) as 64 hexadecimal digits; undefined without one. */
  readonly certificateSha256: string | undefined
}

/** What is known of an open stream, by name. */
export interface ExtraInfo {
  readonly peer: Endpoint | undefined
  readonly local: Endpoint | undefined
  /** Undefined without TLS. */
  readonly tls: TlsSession | undefined
}

/** Takes what a stream brings. Exactly one of `onEnd` and `onError` comes, once, last. */
export interface StreamReader {
  /** Bytes that came; valid only until this returns. */
  onBytes(bytes: Buffer): void
  /** The peer will send no more. */
  onEnd(): void
  /** The stream broke; it is closed already. */
  onError(error: Error): void
  /**
   * The memory that the next bytes should land in; undefined leaves it to the stream.
   * Asked before each read, so it must be cheap; never empty.
   */
  nextBuffer?(): Buffer | undefined
}

/** A two-way stream of bytes. Who opens it closes it. */
export interface NetworkStream extends Disposable {
  /**
   * What is known of the two ends and of what protects the stream. Found out when it is first asked
   * for; once the stream is closed only what was asked before is known.
   */
  getExtraInfo<Name extends keyof ExtraInfo>(name: Name): ExtraInfo[Name]
  /**
   * Starts reading; bytes that came before are given first, some perhaps before it returns. May be
   * called again to hand over. A stream that is paused stays so.
   */
  read(reader: StreamReader): void
  /**
   * Takes the reader off and gives back bytes that it took too many, which are copied: the next
   * reader gets them first. What comes meanwhile is held for it, up to 64 KiB, then the peer waits.
   */
  unread(bytes: Uint8Array): void
  /**
   * Sends bytes; text is sent one character a byte (latin1). Without bound: who sends much waits for
   * `onFlushed`, which is called once, when the bytes are with the system or the stream has closed,
   * never before `write` returns. Until then the memory must stay as it is.
   */
  write(bytes: string | Uint8Array, onFlushed?: () => void): void
  /** Tells the peer that no more will be sent; reading goes on. */
  end(): void
  pause(): void
  resume(): void
  /** While idle, a stream does not keep the process alive. */
  setIdle(idle: boolean): void
  /** Closes both directions at once; idempotent, no callback of the reader comes after it. */
  close(): void
  /** Closes it. */
  [Symbol.dispose](): void
}

/** Trust, identity and limits of TLS connections; equal settings share one context. */
export interface TlsOptions {
  /** PEM certificates to trust instead of the system's. */
  readonly ca?: string | readonly string[] | undefined
  /** Our own certificate, PEM, with its chain; needs `key`. */
  readonly cert?: string | undefined
  /** The private key of `cert`, PEM. */
  readonly key?: string | undefined
  /** Of `key`, when it is encrypted. */
  readonly passphrase?: string | undefined
  /** @defaultValue 'TLSv1.2' */
  readonly minVersion?: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3' | undefined
  /** The name to ask for (SNI) and to find in the certificate. @defaultValue the host */
  readonly serverName?: string | undefined
  /**
   * Accepts only a peer whose certificate has one of these public keys, besides the usual checks:
   * each the SHA-256 of the SubjectPublicKeyInfo, base64, as in `curl --pinnedpubkey`, with or
   * without `sha256//` in front.
   */
  readonly pins?: readonly string[] | undefined
  /** Allows servers that know no secure renegotiation (RFC 5746): old ones, in companies. */
  readonly legacyServerConnect?: boolean | undefined
  /** Accepts any certificate: for tests and emergencies. Pins still hold. */
  readonly insecure?: boolean | undefined
}

/** A step of getting a connection, told as it begins and as it ends. */
export interface ConnectStep {
  /** `proxy` is the request for a tunnel; the connection to the proxy itself is a `connect`. */
  readonly step: 'resolve' | 'connect' | 'proxy' | 'tls'
  readonly phase: 'start' | 'end' | 'error'
  /** `connect`: the address tried, in `start` and `error`; the one that won, in `end`. */
  readonly address?: string | undefined
  readonly error?: Error | undefined
}

/** What to connect to. */
export interface ConnectOptions {
  /** A name or an address; IPv6 without brackets. */
  readonly host: string
  readonly port: number
  /** The path of a Unix domain socket to connect to; host and port then only name the origin. */
  readonly socketPath?: string | undefined
  /** TLS when given. */
  readonly tls?: TlsOptions | undefined
  /** Protocols to offer by ALPN (RFC 7301), the preferred first. @defaultValue none */
  readonly alpnProtocols?: readonly string[] | undefined
  /** For everything together: resolving, each attempt, tunnel and TLS. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  /** Is told of each step; must not throw. */
  readonly onStep?: ((step: ConnectStep) => void) | undefined
}

/** What to protect, and how. */
export interface StartTlsOptions {
  /** Whom the certificate must be for, unless `tls.serverName` names another. */
  readonly host: string
  readonly port: number
  readonly tls: TlsOptions
  readonly alpnProtocols?: readonly string[] | undefined
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  readonly onStep?: ((step: ConnectStep) => void) | undefined
}

/** Opens streams. */
export interface NetworkBackend {
  /**
   * @throws {ConnectError} resolve-failed, connect-failed, proxy-failed or tls-failed
   * @throws {TimeoutError} phase `connect`
   * @throws `signal.reason` when aborted; in each case nothing is left open
   */
  connect(options: ConnectOptions): Promise<NetworkStream>
  /**
   * Turns a stream of this backend into a protected one. The stream given is used up: it is closed
   * when the handshake fails, and otherwise with the stream returned.
   * @throws {ConnectError} tls-failed, also when bytes had come before the handshake
   * @throws {TimeoutError} phase `connect`
   * @throws `signal.reason` when aborted
   */
  startTls(stream: NetworkStream, options: StartTlsOptions): Promise<NetworkStream>
}

/**
 * TLS handshakes: on new sockets and on open ones. A module of its own, loaded when the first is
 * needed: node:tls takes as long to load as everything else together.
 *
 * Owns who is let in: the certificate's chain, name and dates, and the pins, also when a session is
 * taken up again, where node:tls checks none of them.
 */
import type { X509Certificate } from 'node:crypto'
import { isIP, type NetConnectOpts, type Socket } from 'node:net'
import { checkServerIdentity, connect, type TLSSocket } from 'node:tls'
import { ConnectError } from '../errors.ts'
import { formatPeer, reasonOf } from './connect-reasons.ts'
import type { StartTlsOptions, TlsSession } from './network-backend.ts'
import type { TlsLayer } from './node-stream.ts'
import { type SharedContext, secureContextFor } from './tls-context.ts'
import { parsePins, publicKeyPin } from './tls-pins.ts'
import { type StoredSession, TlsSessionCache } from './tls-sessions.ts'

/** Whom to secure a connection to, and how. */
export type TlsTarget = Pick<StartTlsOptions, 'host' | 'port' | 'tls' | 'alpnProtocols'>

/** A socket whose handshake has begun. */
export interface TlsDial {
  readonly socket: TLSSocket
  readonly layer: TlsLayer
}

const sessions = new TlsSessionCache()
// RFC 8446 §6.2: what a server says of a certificate of ours, or of its absence.
const REFUSAL =
  /_ALERT_(?:(?:BAD|UNSUPPORTED)_CERTIFICATE|CERTIFICATE_(?:REVOKED|EXPIRED|UNKNOWN|REQUIRED)|UNKNOWN_CA|ACCESS_DENIED)$/

/** Options of TLS that have been checked, for any number of handshakes with one peer. */
export class TlsDialer {
  readonly #shared: SharedContext
  readonly #pins: readonly string[] | undefined
  readonly #insecure: boolean
  readonly #alpnProtocols: readonly string[] | undefined
  /** Whom the certificate must be for. */
  readonly #identity: string
  readonly #peerLabel: string
  readonly #sessionKey: string

  /** @throws {ConfigError} when an option cannot be used */
  constructor({ host, port, tls, alpnProtocols }: TlsTarget) {
    this.#shared = secureContextFor(tls)
    this.#pins = parsePins(tls.pins)
    this.#insecure = tls.insecure === true
    this.#alpnProtocols = alpnProtocols
    // RFC 6066 §3: a server name has no trailing dot.
    this.#identity = (tls.serverName ?? host).replace(/\.$/, '')
    this.#peerLabel = formatPeer(host, port)
    this.#sessionKey = JSON.stringify([this.#shared.id, host, port, this.#identity, this.#insecure])
  }

  /** Connects a new socket, or secures the open one given. */
  dial(connection: NetConnectOpts | { readonly socket: Socket }): TlsDial {
    const session = sessions.take(this.#sessionKey, (stored) => this.#accepts(stored))
    const alpn = this.#alpnProtocols
    const socket = connect({
      ...connection,
      secureContext: this.#shared.context,
      rejectUnauthorized: !this.#insecure,
      // The host given there may be an address that the name was resolved to.
      checkServerIdentity: (_, certificate) => checkServerIdentity(this.#identity, certificate),
      ...(session === undefined ? {} : { session: session.ticket }),
      ...(alpn === undefined || alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
      // RFC 6066 §3: an address is not a server name.
      ...(isIP(this.#identity) === 0 ? { servername: this.#identity } : {}),
    })
    const handshake = new Handshake(socket, session)
    return {
      socket,
      layer: {
        secured: this.#secure(handshake),
        session: () => handshake.session(),
        refusalOf: (error) => {
          const { code } = error as NodeJS.ErrnoException
          return code !== undefined && REFUSAL.test(code) ? this.#failure(error, code) : undefined
        },
      },
    }
  }

  #failure(cause: Error, code: string | undefined): ConnectError {
    const message = `Cannot secure the connection to ${this.#peerLabel}: ${reasonOf(cause)}`
    return new ConnectError('tls', message, { cause, detail: { reason: code } })
  }

  #secure(handshake: Handshake): Promise<void> {
    const { socket } = handshake
    const tickets: Buffer[] = []
    let accepted = false
    // Before the end of the handshake in TLS 1.2, whenever the server likes in TLS 1.3.
    socket.on('session', (ticket) => {
      if (accepted) this.#keep(handshake, ticket)
      else tickets.push(ticket)
    })
    return new Promise((resolve, reject) => {
      const fail = (why: string, code: string | undefined): void =>
        reject(
          new ConnectError('tls', `Cannot secure the connection to ${this.#peerLabel}: ${why}`, {
            detail: { reason: code },
          }),
        )
      socket.once('secureConnect', () => {
        const mismatch = this.#pinMismatch(handshake.certificate)
        if (mismatch === undefined) {
          accepted = true
          for (const ticket of tickets.splice(0)) this.#keep(handshake, ticket)
          resolve()
        } else {
          fail(mismatch, 'PIN_MISMATCH')
          socket.destroy()
        }
      })
      socket.once('error', (cause: NodeJS.ErrnoException) =>
        reject(this.#failure(cause, cause.code)),
      )
      socket.once('close', () => fail('closed during the handshake', undefined))
    })
  }

  #keep({ socket, certificate, authorized }: Handshake, ticket: Buffer): void {
    if (certificate === undefined) return
    const singleUse = socket.getProtocol() === 'TLSv1.3'
    sessions.put(this.#sessionKey, { ticket, certificate, authorized, singleUse })
  }

  /** Whether a session may be taken up: what was true when it began may be so no more. */
  #accepts({ certificate, authorized }: StoredSession): boolean {
    if (this.#pinMismatch(certificate) !== undefined) return false
    return !authorized || certificate.validToDate.getTime() > Date.now()
  }

  #pinMismatch(certificate: X509Certificate | undefined): string | undefined {
    if (this.#pins === undefined) return undefined
    if (certificate === undefined) return 'the server shows no certificate, so its pin is unknown'
    const pin = publicKeyPin(certificate)
    if (this.#pins.includes(pin)) return undefined
    return `the server's public key is not a pinned one, it is sha256//${pin}`
  }
}

/** A handshake under way or done, and what is known of the peer. */
class Handshake {
  readonly socket: TLSSocket
  readonly #offered: StoredSession | undefined
  #certificate: X509Certificate | undefined
  #session: TlsSession | undefined

  constructor(socket: TLSSocket, offered: StoredSession | undefined) {
    this.socket = socket
    this.#offered = offered
  }

  get resumed(): boolean {
    return this.#offered !== undefined && this.socket.isSessionReused()
  }

  /** The peer's, from the full handshake that the session began with. */
  get certificate(): X509Certificate | undefined {
    this.#certificate ??= this.resumed
      ? this.#offered?.certificate
      : this.socket.getPeerX509Certificate()
    return this.#certificate
  }

  get authorized(): boolean {
    return this.resumed ? this.#offered?.authorized === true : this.socket.authorized
  }

  /** Read once and kept: a closed socket knows nothing any more. */
  session(): TlsSession | undefined {
    const { socket } = this
    if (this.#session !== undefined || socket.destroyed) return this.#session
    const alpn = socket.alpnProtocol
    this.#session = {
      version: socket.getProtocol() ?? 'unknown',
      cipher: socket.getCipher().name,
      alpnProtocol: typeof alpn === 'string' ? alpn : undefined,
      resumed: this.resumed,
      authorized: this.authorized,
      certificateSha256: this.certificate?.fingerprint256.replaceAll(':', '').toLowerCase(),
    }
    return this.#session
  }
}

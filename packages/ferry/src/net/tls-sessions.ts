/**
 * TLS sessions that may be taken up again, with what is known of the peer: a resumed handshake shows
 * no certificate, so whoever takes a session up must check against the one seen when it began.
 */
import type { X509Certificate } from 'node:crypto'

/** A session to take up. */
export interface StoredSession {
  /** Holds the secret of the session. */
  readonly ticket: Buffer
  /** Of the peer, as it was in the full handshake. */
  readonly certificate: X509Certificate
  /** Whether that handshake accepted it. */
  readonly authorized: boolean
  /** TLS 1.3 tickets are for one use: two would link the connections for who listens (RFC 8446 §C.4). */
  readonly singleUse: boolean
}

// Some 3 KB a session. Servers give two tickets for each connection.
const MAX_PEERS = 256
const MAX_SESSIONS_PER_PEER = 8

/** Sessions by peer, the peer used last kept longest. */
export class TlsSessionCache {
  readonly #peers = new Map<string, StoredSession[]>()

  /** How many sessions are kept. */
  get size(): number {
    return [...this.#peers.values()].reduce((sum, { length }) => sum + length, 0)
  }

  /** The newest session with a peer that is acceptable; one for single use is taken out. */
  take(peer: string, accepts: (session: StoredSession) => boolean): StoredSession | undefined {
    const sessions = this.#peers.get(peer)
    const session = sessions?.at(-1)
    if (sessions === undefined || session === undefined) return undefined
    if (!accepts(session)) {
      // All are of the same server, and the older ones no better.
      this.#peers.delete(peer)
      return undefined
    }
    if (session.singleUse) sessions.pop()
    return session
  }

  put(peer: string, session: StoredSession): void {
    const sessions = session.singleUse ? (this.#peers.get(peer) ?? []) : []
    sessions.push(session)
    if (sessions.length > MAX_SESSIONS_PER_PEER) sessions.shift()
    this.#peers.delete(peer)
    this.#peers.set(peer, sessions)
    const [oldest] = this.#peers.keys()
    if (this.#peers.size > MAX_PEERS && oldest !== undefined) this.#peers.delete(oldest)
  }
}

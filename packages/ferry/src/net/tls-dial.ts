/**
 * Opens TLS sockets. A module of its own, loaded when the first one is needed: node:tls takes as
 * long to load as everything else together.
 */
import { isIP, type TcpNetConnectOpts } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { ConnectError } from '../errors.ts'
import { reasonOf } from './connect-reasons.ts'
import type { TlsOptions } from './network-backend.ts'
import type { TlsLayer } from './node-stream.ts'
import { secureContextFor } from './tls-context.ts'

/** Starts a connection; `host` is the name that the certificate must be for, `peer` names it in errors. */
export function dialTls(
  common: TcpNetConnectOpts,
  tls: TlsOptions,
  { host, peer }: { host: string; peer: string },
): { socket: TLSSocket; tls: TlsLayer } {
  const socket = connect({
    ...common,
    secureContext: secureContextFor(tls),
    rejectUnauthorized: tls.insecure !== true,
    ALPNProtocols: ['http/1.1'],
    // RFC 6066 §3: an address is not a server name. The certificate is checked against the
    // server name where there is one, otherwise against the address.
    ...(isIP(host) === 0 ? { servername: host } : {}),
  })
  return { socket, tls: { secured: handshakeOf(socket, peer), info: () => infoOf(socket) } }
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

function infoOf(socket: TLSSocket): ReturnType<TlsLayer['info']> {
  const alpn = socket.alpnProtocol
  return {
    alpnProtocol: typeof alpn === 'string' ? alpn : undefined,
    tlsVersion: socket.getProtocol() ?? undefined,
  }
}

/** Makes the HTTP servers that uploads come in by: what a connection and the head of a request may take. */
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { SecureContextOptions } from 'node:tls'

/** What such a server is made with. */
export interface HttpServerOptions {
  /** Certificate and key, for https. @defaultValue http */
  readonly tls?: SecureContextOptions
  /** @defaultValue 16,384 */
  readonly maxHeaderBytes?: number
  /** How long a client may take for the head of a request. @defaultValue 10,000 ms */
  readonly headersTimeoutMs?: number
  /** How long a connection without a request is kept. @defaultValue 5,000 ms */
  readonly keepAliveTimeoutMs?: number
  /** Connections at the same time; more are closed at once. @defaultValue as many as the system has */
  readonly maxConnections?: number
}

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>

/**
 * Whoever makes it listens, and closes it.
 * @param onContinue takes the requests of clients that wait to be told to go on (RFC 9110 §10.1.1)
 */
export function createHttpServer(
  options: HttpServerOptions,
  handler: Handler,
  onContinue: Handler,
): Server {
  const { maxHeaderBytes = 16_384, headersTimeoutMs = 10_000 } = options
  const { keepAliveTimeoutMs = 5000, maxConnections, tls } = options
  const settings: ServerOptions = {
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: headersTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    connectionsCheckingInterval: Math.min(1000, headersTimeoutMs),
    // An upload may take hours; whether enough comes is watched by the core.
    requestTimeout: 0,
    noDelay: true,
  }
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    void handler(request, response)
  }
  const server =
    tls === undefined
      ? createServer(settings, onRequest)
      : createTlsServer({ ...settings, ...tls }, onRequest)
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    void onContinue(request, response)
  })
  if (maxConnections !== undefined) server.maxConnections = maxConnections
  return server
}

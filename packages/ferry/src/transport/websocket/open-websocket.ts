/** Opens a WebSocket: the handshake on a connection of a pool, and whose it is if that fails. */
import { HttpStatusError } from '../../errors.ts'
import { ConnectionPool } from '../connection-pool.ts'
import type { HttpUrl } from '../http-url.ts'
import type { UpgradeOutcome } from '../receive-response.ts'
import { checkHandshake, createHandshake, parseWebSocketUrl } from './handshake.ts'
import { MessageDeflate } from './message-deflate.ts'
import { WebSocketChannel } from './websocket-channel.ts'
import { resolveWebSocketOptions, type WebSocketOptions } from './websocket-options.ts'

/** See `connectWebSocket()`. */
export async function openWebSocket(
  url: string | URL | HttpUrl,
  options: WebSocketOptions,
): Promise<WebSocketChannel> {
  const settings = resolveWebSocketOptions(options)
  const target = parseWebSocketUrl(url)
  const { headers, signal } = options
  const { protocols, deflate: deflateOptions, maxMessageBytes } = settings
  const deflate =
    deflateOptions === undefined ? undefined : new MessageDeflate(deflateOptions, maxMessageBytes)
  const offer = createHandshake(target, { protocols, deflate, deflateOptions, headers })
  const ownPool = options.pool === undefined ? new ConnectionPool() : undefined
  const pool = options.pool ?? (ownPool as ConnectionPool)
  let outcome: UpgradeOutcome | undefined
  try {
    outcome = await pool.upgrade(offer.request, {
      signal,
      totalTimeoutMs: settings.handshakeTimeoutMs,
    })
    // An abort just now found nobody to end it.
    signal?.throwIfAborted()
    if (outcome.type === 'refused') throw refusalOf(outcome, target)
    const agreed = checkHandshake(offer, outcome.head)
    return new WebSocketChannel({
      url: target,
      stream: outcome.stream,
      head: outcome.head,
      connection: outcome.connection,
      protocol: agreed.protocol,
      extensions: agreed.extensions,
      deflate: agreed.compresses ? deflate : undefined,
      settings,
      signal,
      onClosed: () => void ownPool?.close(),
    })
  } catch (error) {
    if (outcome?.type === 'upgraded') outcome.stream.close()
    else outcome?.response.body.cancel()
    await ownPool?.close()
    throw error
  }
}

function refusalOf(
  { response }: Extract<UpgradeOutcome, { type: 'refused' }>,
  { label }: HttpUrl,
): HttpStatusError {
  const { status, statusText } = response
  return new HttpStatusError(
    `Cannot open a WebSocket to ${label}: status ${status} ${statusText}`.trimEnd(),
    response,
  )
}

/** The way in: loads what a WebSocket needs when one is opened, since few programs open any. */
import type { HttpUrl } from '../http-url.ts'
import type { WebSocketChannel } from './websocket-channel.ts'
import type { WebSocketOptions } from './websocket-options.ts'

/**
 * Opens a WebSocket to a ws, wss, http or https URL. Credentials in the URL go out as Authorization
 * (Basic). Redirects are not followed. Whoever gets the channel closes it.
 *
 * In each case of failure nothing is left open.
 * @throws {ConfigError} when the URL or an option cannot be used
 * @throws {HttpStatusError} when the server answers with a response instead
 * @throws {RemoteProtocolError} when its answer does not go with what was asked
 * @throws {ConnectError} {TimeoutError} {StreamError} as `ConnectionPool.upgrade`, or `signal.reason`
 * @see RFC 6455 §4.1
 */
export async function connectWebSocket(
  url: string | URL | HttpUrl,
  options: WebSocketOptions = {},
): Promise<WebSocketChannel> {
  const { openWebSocket } = await import('./open-websocket.ts')
  return openWebSocket(url, options)
}

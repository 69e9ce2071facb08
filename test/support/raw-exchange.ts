/** Sends bytes to a server, as they are, and reads what comes back until the connection ends. */
import { connect, type Socket } from 'node:net'

/** What is sent, and when nothing more is. */
export interface RawExchange {
  /** Parts of which each is sent when the one before has left. */
  readonly parts: readonly (string | Buffer)[]
  /** Ends the sending side after the last part. @defaultValue false */
  readonly end?: boolean
}

/** Resolves with all that came, one character a byte, when the server has closed the connection. */
export async function exchangeRaw(url: string, exchange: RawExchange): Promise<string> {
  const socket = openRaw(url)
  let text = ''
  socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')))
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()))
  for (const part of exchange.parts) {
    if (socket.destroyed) break
    await new Promise<void>((resolve) => socket.write(part, 'latin1', () => resolve()))
  }
  if (exchange.end === true) socket.end()
  await closed
  return text
}

/** Whoever opens it destroys it. */
export function openRaw(url: string): Socket {
  const { hostname, port } = new URL(url)
  // A server that refuses may close before all is sent.
  return connect({ host: hostname, port: Number(port) }).on('error', () => {})
}

/** The statuses of the responses that came. */
export function statusesOf(text: string): number[] {
  return [...text.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status))
}

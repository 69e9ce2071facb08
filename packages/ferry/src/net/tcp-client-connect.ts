/** Attempts to connect, one after another with growing waits, until one succeeds or none is left. */
import { wait } from '../clock.ts'
import { ConnectError, TimeoutError } from '../errors.ts'
import type { NetworkStream } from './network-backend.ts'
import type { TcpClientSettings } from './tcp-client-options.ts'

// Long enough for a service that restarts; beyond it waiting longer spares nobody anything.
const MAX_RETRY_DELAY_MS = 30_000

/**
 * Opens a stream as the settings say.
 * @throws what the last attempt threw; at once where another could not go better: a certificate that
 * is not accepted, an option that cannot be used
 * @throws `signal.reason` when aborted; then nothing is left open
 */
export async function connectWithRetries(
  settings: TcpClientSettings,
  signal: AbortSignal,
): Promise<NetworkStream> {
  const { host, port, tls, timeoutMs, retries, backend, clock } = settings
  for (let retry = 1; ; retry++) {
    try {
      return await backend.connect({ host, port, tls, timeoutMs, signal })
    } catch (error) {
      if (retry > retries || !isPassing(error)) throw error
    }
    await wait(retryWaitMs(retry, Math.random(), settings), signal, clock)
  }
}

/**
 * How long to wait before a further attempt, in ms.
 * @param retry 1 for the first of them
 * @param random in [0, 1)
 */
export function retryWaitMs(
  retry: number,
  random: number,
  { retryDelayMs, jitter }: Pick<TcpClientSettings, 'retryDelayMs' | 'jitter'>,
): number {
  const delay = Math.min(MAX_RETRY_DELAY_MS, retryDelayMs * 2 ** (retry - 1))
  return delay * (1 + jitter * random)
}

/** Whether it may go better in a moment. */
function isPassing(error: unknown): boolean {
  if (error instanceof TimeoutError) return true
  if (!(error instanceof ConnectError)) return false
  if (error.phase !== 'tls') return true
  // The peer hung up during the handshake, rather than failing it: load balancers do that in passing.
  const reason = error.detail['reason']
  return reason === undefined || reason === 'ECONNRESET' || reason === 'EPIPE'
}

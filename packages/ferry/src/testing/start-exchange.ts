/** Starts exchanges on a connection without a pool, for tests. */
import type { Clock } from '../clock.ts'
import type { Connection, ResponseHandler } from '../transport/connection.ts'
import type { HttpRequest } from '../transport/http-request.ts'
import type { PoolTimeouts } from '../transport/pool-options.ts'
import { PooledExchange } from '../transport/pooled-exchange.ts'
import type { ExchangeTrace } from '../transport/trace.ts'

/** Whose exchange it is, and its limits. */
export interface StartOptions {
  readonly clock: Clock
  readonly timeouts?: Partial<PoolTimeouts>
  readonly trace?: ExchangeTrace | undefined
}

const TIMEOUTS: PoolTimeouts = {
  poolTimeoutMs: 1000,
  headersTimeoutMs: 1000,
  bodyTimeoutMs: 500,
  continueTimeoutMs: 300,
  totalTimeoutMs: Number.POSITIVE_INFINITY,
}

/** Starts an exchange that is never tried again. */
export function startExchange(
  connection: Connection,
  request: HttpRequest,
  handler: ResponseHandler,
  { clock, timeouts, trace }: StartOptions,
): PooledExchange {
  const owner = { retry: () => {}, forget: () => {} }
  const now = clock.now()
  const exchange = new PooledExchange(owner, request, handler, {
    timeouts: { ...TIMEOUTS, ...timeouts },
    signal: undefined,
    trace,
    now,
  })
  exchange.isFinal = true
  exchange.startOn(
    {
      connection,
      openedAt: now,
      opening: NO_OPENING,
      extraInfo: NO_INFO,
      expiresAt: 0,
      isFree: false,
    },
    now,
  )
  return exchange
}

const NO_INFO = { peer: undefined, local: undefined, tls: undefined }
const NO_OPENING = {
  resolveMs: undefined,
  connectMs: undefined,
  proxyMs: undefined,
  tlsMs: undefined,
}

/** Words and codes for what goes wrong on the way to a proxy, so that it is not taken for the server. */
import { ConnectError, TimeoutError } from '../errors.ts'
import { formatPeer, reasonOf } from './connect-reasons.ts'
import type { ProxySettings } from './proxy.ts'

/** Who was to be reached, and through what. */
export interface ProxyWay {
  readonly host: string
  readonly port: number
  readonly proxy: Pick<ProxySettings, 'host' | 'port'>
}

/** `Cannot connect to h:80 through the proxy p:3128` */
export function describeProxyWay({ host, port, proxy }: ProxyWay): string {
  const target = formatPeer(host, port)
  return `Cannot connect to ${target} through the proxy ${formatPeer(proxy.host, proxy.port)}`
}

/**
 * The error for the caller of one from connecting to the proxy itself: `proxy-failed` when it cannot
 * be reached; a proxy whose certificate is not trusted stays `tls-failed`.
 */
export function toProxyFailure(error: unknown, way: ProxyWay): unknown {
  const what = describeProxyWay(way)
  if (error instanceof TimeoutError) {
    const { phase, timeoutMs } = error
    return new TimeoutError(phase, timeoutMs, `${what}: not done within ${timeoutMs} ms`)
  }
  if (!(error instanceof ConnectError) || error.phase === 'proxy') return error
  const { cause, detail, message } = error
  const reason = cause === undefined ? message.replace(/^Cannot /, 'cannot ') : reasonOf(cause)
  const phase = error.phase === 'tls' ? 'tls' : 'proxy'
  const whose = phase === 'tls' ? 'of the proxy' : 'to the proxy'
  return new ConnectError(phase, `${what}: no connection ${whose}: ${reason}`, {
    cause: cause ?? error,
    detail,
  })
}

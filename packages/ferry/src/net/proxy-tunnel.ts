/**
 * Opens a way through a proxy over any backend: connect, negotiate, hand over. Loaded when the first
 * proxy is used.
 *
 * Owns the stream from the connection to the proxy until it is returned; one limit of time and one
 * abort hold for all of it. What the two sorts of proxy say is in http-tunnel.ts and socks-tunnel.ts.
 */
import { isIP } from 'node:net'
import { type Clock, systemClock } from '../clock.ts'
import { ConnectError, RemoteProtocolError } from '../errors.ts'
import { formatPeer, reasonOf } from './connect-reasons.ts'
import { ConnectSteps } from './connect-steps.ts'
import { orderAddresses } from './happy-eyeballs.ts'
import { HttpTunnel } from './http-tunnel.ts'
import { type Negotiation, TunnelRefused } from './negotiation.ts'
import type { ConnectOptions, NetworkBackend, NetworkStream } from './network-backend.ts'
import type { ProxySettings } from './proxy.ts'
import { describeProxyWay, toProxyFailure } from './proxy-failure.ts'
import { CachingResolver, resolveHost, type Resolver } from './resolver.ts'
import { SocksTunnel } from './socks-tunnel.ts'
import { TimeLimit } from './time-limit.ts'

/** Time and names, for tests. */
export interface TunnelSettings {
  readonly clock?: Clock
  /** For `socks5:`, whose names are resolved here. */
  readonly resolver?: Resolver
}

/** What one way through a proxy is made of. */
export interface TunnelRequest {
  readonly backend: NetworkBackend
  readonly proxy: ProxySettings
  readonly options: ConnectOptions
  readonly settings?: TunnelSettings | undefined
}

// A name with more addresses than this is no more reachable by the rest of them.
const MAX_ADDRESSES = 4
let systemResolver: Resolver | undefined

/** Connects through a proxy; see `connectThroughProxy`. */
export async function openTunnel(request: TunnelRequest): Promise<NetworkStream> {
  const { backend, options, settings = {} } = request
  const { host, port, tls, alpnProtocols, timeoutMs, signal, onStep } = options
  const limit = new TimeLimit(settings.clock ?? systemClock, {
    timeoutMs,
    signal,
    attempted: describe(request),
  })
  const steps = new ConnectSteps(onStep)
  try {
    const stream = await openFirst(request, limit, steps)
    if (tls === undefined) return stream
    const secured = { host, port, tls, alpnProtocols, timeoutMs, signal: limit.signal, onStep }
    return await backend.startTls(stream, secured)
  } catch (error) {
    steps.finish(error as Error)
    throw error
  } finally {
    limit.end()
    steps.finish()
  }
}

/** Tries the addresses of the host one after another where we resolve it, else the host itself. */
async function openFirst(
  request: TunnelRequest,
  limit: TimeLimit,
  steps: ConnectSteps,
): Promise<NetworkStream> {
  const hosts = await targetsOf(request, limit, steps)
  for (const host of hosts) {
    try {
      return await openOne(request, { host, limit, steps })
    } catch (error) {
      const { cause } = error as Error
      const goOn = cause instanceof TunnelRefused && cause.otherAddressMayDo
      if (!goOn || host === hosts.at(-1)) throw error
    }
  }
  throw new Error('Unreachable: there is at least one target')
}

async function targetsOf(
  { proxy, options, settings = {} }: TunnelRequest,
  limit: TimeLimit,
  steps: ConnectSteps,
): Promise<string[]> {
  const { host } = options
  if (!proxy.resolveLocally || isIP(host) !== 0) return [host]
  const resolver = settings.resolver ?? (systemResolver ??= new CachingResolver())
  steps.start('resolve')
  const addresses = await limit.race(resolveHost(resolver, host))
  steps.end('resolve')
  return orderAddresses(addresses)
    .slice(0, MAX_ADDRESSES)
    .map(({ address }) => address)
}

async function openOne(
  request: TunnelRequest,
  { host, limit, steps }: { host: string; limit: TimeLimit; steps: ConnectSteps },
): Promise<NetworkStream> {
  const { backend, proxy, options } = request
  const { port, timeoutMs, onStep } = options
  const negotiation =
    proxy.type === 'socks5'
      ? new SocksTunnel({ host, port, credentials: proxy.credentials })
      : new HttpTunnel({ authority: formatPeer(host, port), proxy })
  const connecting = backend.connect({
    host: proxy.host,
    port: proxy.port,
    tls: proxy.type === 'https' ? proxy.tls : undefined,
    // The answer to CONNECT is read as HTTP/1.1.
    alpnProtocols: proxy.type === 'https' ? ['http/1.1'] : undefined,
    timeoutMs,
    signal: limit.signal,
    onStep,
  })
  const stream = await connecting.catch((error: unknown) => {
    throw limit.signal.aborted ? error : toProxyFailure(error, { ...options, proxy })
  })
  try {
    steps.start('proxy')
    await limit.race(negotiate(stream, negotiation))
    steps.end('proxy')
    return stream
  } catch (cause) {
    stream.close()
    const error = limit.signal.aborted ? (cause as Error) : translate(request, cause)
    steps.fail('proxy', error)
    throw error
  }
}

/** Fulfilled when the way is free; the stream then waits for its next reader. */
function negotiate(stream: NetworkStream, negotiation: Negotiation): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.read({
      onBytes(bytes) {
        try {
          const rest = negotiation.push(bytes, (answer) => stream.write(answer))
          if (rest === undefined) return
          stream.unread(rest)
          resolve()
        } catch (cause) {
          // At once: it may be sending without end.
          stream.close()
          reject(cause as Error)
        }
      },
      onEnd: () => reject(new RemoteProtocolError('the proxy closed the connection')),
      onError: (cause) => reject(new RemoteProtocolError(reasonOf(cause), { cause })),
      nextBuffer: () => undefined,
    })
    stream.write(negotiation.begin())
  })
}

function translate(request: TunnelRequest, cause: unknown): Error {
  const isPeers = cause instanceof TunnelRefused || cause instanceof RemoteProtocolError
  if (!isPeers) return cause as Error
  return new ConnectError('proxy', `${describe(request)}: ${cause.message}`, {
    cause,
    detail: cause.detail,
  })
}

function describe({ proxy, options }: TunnelRequest): string {
  return describeProxyWay({ ...options, proxy })
}

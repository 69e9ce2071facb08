/**
 * The network through node:net and node:tls.
 *
 * Reads with `onread`, so bytes land in memory that we choose and no stream machinery runs per read.
 * Owns sockets from the first attempt to the winner; knows no HTTP.
 */
import { connect as connectSocket, isIP, type NetConnectOpts, type Socket } from 'node:net'
import { type Clock, systemClock } from '../clock.ts'
import { ConnectError } from '../errors.ts'
import { formatPeer, reasonOf } from './connect-reasons.ts'
import { ConnectSteps } from './connect-steps.ts'
import { type Address, type Attempt, raceAddresses } from './happy-eyeballs.ts'
import type {
  ConnectOptions,
  NetworkBackend,
  NetworkStream,
  StartTlsOptions,
} from './network-backend.ts'
import { NodeStream } from './node-stream.ts'
import { CachingResolver, resolveHost, type Resolver } from './resolver.ts'
import { TimeLimit } from './time-limit.ts'
import type { TlsDialer, TlsTarget } from './tls-dial.ts'

const KEEP_ALIVE_PROBE_MS = 60_000

/** Connects over TCP, Unix domain sockets and TLS with the system's resolver and trust store. */
export class NodeBackend implements NetworkBackend {
  readonly #resolver: Resolver
  readonly #clock: Clock

  constructor(options: { resolver?: Resolver; clock?: Clock } = {}) {
    this.#clock = options.clock ?? systemClock
    this.#resolver = options.resolver ?? new CachingResolver({ clock: this.#clock })
  }

  async connect(options: ConnectOptions): Promise<NetworkStream> {
    const { host, port, tls, timeoutMs, signal } = options
    const attempted = `Cannot connect to ${formatPeer(host, port)}`
    const limit = new TimeLimit(this.#clock, { timeoutMs, signal, attempted })
    const steps = new ConnectSteps(options.onStep)
    let stream: NodeStream | undefined
    try {
      const dialer = tls && (await limit.race(loadDialer({ ...options, tls })))
      stream = await this.#open({ options, dialer, limit, steps })
      if (tls !== undefined) await secure(stream, limit, steps)
      steps.finish()
      return stream
    } catch (error) {
      stream?.close()
      steps.finish(error as Error)
      throw error
    } finally {
      limit.end()
    }
  }

  async startTls(stream: NetworkStream, options: StartTlsOptions): Promise<NetworkStream> {
    if (!(stream instanceof NodeStream)) {
      throw new TypeError('Cannot start TLS: the stream is not one of this backend')
    }
    const { timeoutMs, signal } = options
    const steps = new ConnectSteps(options.onStep)
    let limit: TimeLimit | undefined
    let open = stream
    try {
      limit = new TimeLimit(this.#clock, { timeoutMs, signal, attempted: describeTls(options) })
      const dialer = await limit.race(loadDialer(options))
      open = upgrade(stream, dialer, options)
      await secure(open, limit, steps)
      steps.finish()
      return open
    } catch (error) {
      open.close()
      steps.finish(error as Error)
      throw error
    } finally {
      limit?.end()
    }
  }

  async #open(opening: Opening): Promise<NodeStream> {
    const { options, limit, steps } = opening
    const { host, port, socketPath } = options
    const race =
      socketPath === undefined
        ? raceAddresses(
            await this.#addressesOf(host, limit, steps),
            ({ address }) => startAttempt(opening, { host: address, port }),
            this.#clock,
          )
        : startAttempt(opening, { path: socketPath })
    try {
      return await limit.race(race.result)
    } catch (error) {
      race.cancel()
      // The winner of a race that ends in this very turn has nobody else to close it.
      race.result.then(
        (stream) => stream.close(),
        () => {},
      )
      if (options.signal?.aborted !== true) this.#resolver.forget(host)
      throw error
    }
  }

  async #addressesOf(
    host: string,
    limit: TimeLimit,
    steps: ConnectSteps,
  ): Promise<readonly Address[]> {
    const family = isIP(host)
    if (family !== 0) return [{ address: host, family: family === 6 ? 6 : 4 }]
    steps.start('resolve')
    const addresses = await limit.race(resolveHost(this.#resolver, host))
    steps.end('resolve')
    return addresses
  }
}

/** What every attempt of one `connect` shares. */
interface Opening {
  readonly options: ConnectOptions
  readonly dialer: TlsDialer | undefined
  readonly limit: TimeLimit
  readonly steps: ConnectSteps
}

async function loadDialer(target: TlsTarget): Promise<TlsDialer> {
  const { TlsDialer } = await import('./tls-dial.ts')
  return new TlsDialer(target)
}

/** Connects to one address; over TLS the attempt has won once TCP stands, the handshake goes on. */
function startAttempt(
  { options, dialer, steps }: Opening,
  place: { host: string; port: number } | { path: string },
): Attempt<NodeStream> {
  const { promise, resolve, reject } = Promise.withResolvers<NodeStream>()
  const stream = new NodeStream()
  const address = 'path' in place ? place.path : place.host
  steps.start('connect', address)
  const socket = dial(stream, dialer, place)
  socket.once('connect', () => {
    steps.end('connect', address)
    resolve(stream)
  })
  socket.once('error', (cause) => {
    const peer = formatPeer(options.host, options.port)
    const message = `Cannot connect to ${peer} at ${address}: ${reasonOf(cause)}`
    const error = new ConnectError('connect', message, { cause })
    steps.fail('connect', error, address)
    reject(error)
  })
  return { result: promise, cancel: () => stream.close() }
}

function dial(
  stream: NodeStream,
  dialer: TlsDialer | undefined,
  place: { host: string; port: number } | { path: string },
): Socket {
  const connection: NetConnectOpts = {
    ...place,
    onread: stream.onread,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
    autoSelectFamily: false,
  }
  const socketPath = 'path' in place ? place.path : undefined
  if (dialer === undefined) {
    const socket = connectSocket(connection)
    stream.attach({ socket, socketPath })
    return socket
  }
  const { socket, layer } = dialer.dial(connection)
  stream.attach({ socket, tls: layer, socketPath })
  return socket
}

/** Begins a handshake on the socket of an open stream, which is used up. */
function upgrade(stream: NodeStream, dialer: TlsDialer, options: StartTlsOptions): NodeStream {
  const node = stream.release()
  if (node === undefined) {
    // Plain bytes taken for protected ones would let anybody on the way speak for the peer.
    throw new ConnectError(
      'tls',
      `${describeTls(options)}: bytes came before the handshake, or the stream has ended`,
    )
  }
  const upgraded = new NodeStream()
  const { socket, layer } = dialer.dial({ socket: node.socket })
  // node:tls reads a socket that it has not opened by events only.
  upgraded.attach({ socket, tls: layer, socketPath: node.socketPath, hasOnread: false })
  return upgraded
}

async function secure(stream: NodeStream, limit: TimeLimit, steps: ConnectSteps): Promise<void> {
  steps.start('tls')
  await limit.race(stream.secured)
  steps.end('tls')
}

function describeTls({ host, port }: StartTlsOptions): string {
  return `Cannot secure the connection to ${formatPeer(host, port)}`
}

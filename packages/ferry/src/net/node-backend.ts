/**
 * The network through node:net and node:tls.
 *
 * Reads with `onread`, so bytes land in memory that we choose and no stream machinery runs per read.
 * Owns sockets from the first attempt to the winner; knows no HTTP.
 */
import { lookup } from 'node:dns/promises'
import { connect as connectTcp, isIP, type Socket, type TcpNetConnectOpts } from 'node:net'
import { type Clock, systemClock } from '../clock.ts'
import { ConnectError, TimeoutError } from '../errors.ts'
import { formatPeer, reasonOf } from './connect-reasons.ts'
import { type Address, type Attempt, raceAddresses } from './happy-eyeballs.ts'
import type { ConnectOptions, NetworkBackend, NetworkStream } from './network-backend.ts'
import { NodeStream } from './node-stream.ts'

/** Gives the addresses of a name, in the order of preference. */
export type Resolve = (host: string) => Promise<readonly Address[]>

const KEEP_ALIVE_PROBE_MS = 60_000

/** Connects over TCP and TLS with the system's resolver and trust store. */
export class NodeBackend implements NetworkBackend {
  readonly #resolve: Resolve
  readonly #clock: Clock

  constructor(options: { resolve?: Resolve; clock?: Clock } = {}) {
    this.#resolve = options.resolve ?? resolveWithSystem
    this.#clock = options.clock ?? systemClock
  }

  async connect(options: ConnectOptions): Promise<NetworkStream> {
    const { host, port, timeoutMs, signal } = options
    signal?.throwIfAborted()
    const { promise: stopped, reject: stop } = Promise.withResolvers<never>()
    const cancelTimer = this.#clock.after(timeoutMs, () =>
      stop(
        new TimeoutError(
          'connect',
          timeoutMs,
          `Cannot connect to ${formatPeer(host, port)}: no connection within ${timeoutMs} ms`,
        ),
      ),
    )
    const onAbort = (): void => stop(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    let race: Attempt<NodeStream> | undefined
    try {
      const dial = await dialerFor(options)
      const addresses = await Promise.race([this.#addressesOf(host), stopped])
      race = raceAddresses(
        addresses,
        (address) => startAttempt(address, options, dial),
        this.#clock,
      )
      const stream = await Promise.race([race.result, stopped])
      await Promise.race([stream.secured, stopped])
      return stream
    } catch (error) {
      race?.cancel()
      // The winner of a race that is over, or ends in this very turn, has nobody else to close it.
      race?.result.then(
        (stream) => stream.close(),
        () => {},
      )
      throw error
    } finally {
      cancelTimer()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  async #addressesOf(host: string): Promise<readonly Address[]> {
    const family = isIP(host)
    if (family !== 0) return [{ address: host, family: family === 6 ? 6 : 4 }]
    let addresses: readonly Address[]
    try {
      addresses = await this.#resolve(host)
    } catch (cause) {
      throw new ConnectError('resolve', `Cannot resolve host ${host}: ${reasonOf(cause)}`, {
        cause,
      })
    }
    if (addresses.length === 0) {
      throw new ConnectError('resolve', `Cannot resolve host ${host}: it has no address`)
    }
    return addresses
  }
}

async function resolveWithSystem(host: string): Promise<Address[]> {
  const found = await lookup(host, { all: true, order: 'verbatim' })
  return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }))
}

/** Starts a connection of a stream. */
type Dial = (stream: NodeStream, options: TcpNetConnectOpts) => Socket

/** Over TLS or plain, as asked for. */
async function dialerFor({ host, port, tls }: ConnectOptions): Promise<Dial> {
  if (tls === undefined) {
    return (stream, options) => {
      const socket = connectTcp(options)
      stream.attach(socket)
      return socket
    }
  }
  const { dialTls } = await import('./tls-dial.ts')
  return (stream, options) => {
    const dialled = dialTls(options, tls, { host, peer: formatPeer(host, port) })
    stream.attach(dialled.socket, dialled.tls)
    return dialled.socket
  }
}

/** Connects to one address; over TLS the attempt has won once TCP stands, the handshake goes on. */
function startAttempt(
  address: Address,
  { host, port }: ConnectOptions,
  dial: Dial,
): Attempt<NodeStream> {
  const { promise, resolve, reject } = Promise.withResolvers<NodeStream>()
  const stream = new NodeStream()
  const socket = dial(stream, {
    host: address.address,
    port,
    onread: stream.onread,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
    autoSelectFamily: false,
  })
  socket.once('connect', () => resolve(stream))
  socket.once('error', (cause) =>
    reject(
      new ConnectError(
        'connect',
        `Cannot connect to ${formatPeer(host, port)} at ${address.address}: ${reasonOf(cause)}`,
        { cause },
      ),
    ),
  )
  return { result: promise, cancel: () => stream.close() }
}

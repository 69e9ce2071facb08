/** A tunnel through HTTP/2 keeps what every stream of the network promises. */
import {
  describeNetworkStream,
  type FarSide,
  type Pair,
} from '../testing/describe-network-stream.ts'
import { Http2ConnectionFixture, turn } from '../testing/http2-fixture.ts'
import type { Http2Peer } from '../testing/http2-peer.ts'
import { RecordingHandler } from '../testing/recording-handler.ts'
import { HttpRequest } from './http-request.ts'
import type { NetworkStream } from '../net/network-backend.ts'

class TunnelHandler extends RecordingHandler {
  stream: NetworkStream | undefined

  onUpgrade(_: unknown, stream: NetworkStream): void {
    this.stream = stream
  }
}

/** A server's end of the tunnel, which takes what comes and sends as the windows allow. */
class TunnelEnd implements FarSide {
  readonly #peer: Http2Peer
  #stalled = false
  #given = 0

  constructor(peer: Http2Peer) {
    this.#peer = peer
  }

  readonly reset = (): void => this.#peer.reset(1, 'INTERNAL_ERROR')

  send(bytes: Buffer | string): void {
    this.#peer.offer(1, bytes)
  }

  end(): void {
    this.#peer.offer(1, '', { end: true })
  }

  received(): string {
    return this.#peer.request().content
  }

  sawEnd(): boolean {
    return this.#peer.request().ended
  }

  closed(): boolean {
    return this.#peer.request().reset
  }

  waiting(): number {
    return this.#peer.offerMore()
  }

  stall(): void {
    this.#stalled = true
  }

  /** Does what is due: sends what waits, and lets the client send as much again. */
  work(): void {
    this.#peer.offerMore()
    const taken = this.#peer.request().content.length - this.#given
    if (taken === 0 || this.#stalled) return
    this.#given += taken
    this.#peer.widen(taken)
    this.#peer.widen(taken, 1)
  }
}

async function openTunnel(): Promise<Pair> {
  const fixture = Http2ConnectionFixture.settled()
  const { connection, peer } = fixture
  const handler = new TunnelHandler()
  fixture.start(new HttpRequest('CONNECT', 'https://h/', { target: 'inner:1' }), handler)
  await turn()
  fixture.stream.extraInfo = { ...fixture.stream.extraInfo, tls: undefined }
  peer.head(1, 200)
  const far = new TunnelEnd(peer)
  let isOpen = true
  const work = (): void => {
    far.work()
    if (isOpen) setImmediate(work)
  }
  work()
  const close = (): Promise<void> => {
    isOpen = false
    connection.close()
    return Promise.resolve()
  }
  if (handler.stream === undefined) throw new Error('the tunnel was not handed over')
  return { stream: handler.stream, far, [Symbol.asyncDispose]: close }
}

describeNetworkStream('Http2Tunnel', openTunnel, { resetCode: 'connection-lost' })

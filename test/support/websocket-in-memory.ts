/** A WebSocket on a network in memory and a clock moved by hand, both ends in the hand of the test. */
import { FakeClock, MemoryBackend, type MemoryStream } from 'ferry/testing'
import { ConnectionPool } from 'ferry/transport'
import { connectWebSocket } from '../../packages/ferry/src/transport/websocket/connect-websocket.ts'
import type { WebSocketChannel } from '../../packages/ferry/src/transport/websocket/websocket-channel.ts'
import type { WebSocketOptions } from '../../packages/ferry/src/transport/websocket/websocket-options.ts'
import { describeFrame, parseFrames } from './websocket-frames.ts'
import { switching } from './websocket-peer.ts'

/** The network, and what is open on it. Closes its pool when disposed of. */
export class MemoryFixture implements AsyncDisposable {
  readonly clock = new FakeClock()
  readonly backend = new MemoryBackend()
  readonly pool = new ConnectionPool({ backend: this.backend, clock: this.clock })

  /** Begins a handshake and waits until the request is out. */
  async begin(options: WebSocketOptions = {}): Promise<{
    opening: Promise<WebSocketChannel>
    far: FarSide
  }> {
    const { pool, clock } = this
    const { length } = this.backend.streams
    const opening = connectWebSocket('ws://server.test/chat', { pool, clock, ...options })
    let hasFailed = false
    // Looked at by the test, perhaps only after it has failed.
    opening.catch(() => (hasFailed = true))
    // The first of a process takes longer.
    while (!hasFailed && !this.backend.streams[length]?.written.endsWith('\r\n\r\n')) await turn()
    return { opening, far: new FarSide(this.backend.streams.at(-1) as MemoryStream) }
  }

  /** Opens a WebSocket; `lines` are further fields of the answer. */
  async open(
    options: WebSocketOptions = {},
    ...lines: readonly string[]
  ): Promise<{ socket: WebSocketChannel; far: FarSide }> {
    const { opening, far } = await this.begin(options)
    far.stream.send(switching(far.key, ...lines))
    return { socket: await opening, far }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.pool.close()
  }
}

/** The server's end of a stream. */
export class FarSide {
  readonly stream: MemoryStream

  constructor(stream: MemoryStream) {
    this.stream = stream
  }

  get key(): string {
    return /Sec-WebSocket-Key: (.*)\r\n/.exec(this.stream.written)?.[1] ?? ''
  }

  /** What the client has sent after its request, one line a frame. */
  get said(): string[] {
    const { written } = this.stream
    const bytes = Buffer.from(written.slice(written.indexOf('\r\n\r\n') + 4), 'latin1')
    return parseFrames(bytes).frames.map(describeFrame)
  }
}

/** Lets every promise go on that can. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

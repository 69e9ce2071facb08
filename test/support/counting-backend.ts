/** A backend that counts the connections it opens, over the real one. */
import {
  type ConnectOptions,
  type NetworkBackend,
  type NetworkStream,
  NodeBackend,
  type StartTlsOptions,
} from 'ferry/transport'

/** Opens connections by `NodeBackend` and counts them. */
export class CountingBackend implements NetworkBackend {
  readonly #backend = new NodeBackend()
  #opened = 0

  /** Connections that were opened so far. */
  get opened(): number {
    return this.#opened
  }

  async connect(options: ConnectOptions): Promise<NetworkStream> {
    const stream = await this.#backend.connect(options)
    this.#opened++
    return stream
  }

  startTls(stream: NetworkStream, options: StartTlsOptions): Promise<NetworkStream> {
    return this.#backend.startTls(stream, options)
  }
}

/**
 * Bounds what encoded content may become, so that a few bytes from a peer do not cost more than they
 * should: time, and a disk.
 *
 * Memory is bounded by other means: nothing is decoded that nobody takes. What is taken whole is
 * bounded by `maxBytes` of whoever takes it.
 */
import { RemoteProtocolError } from '../../errors.ts'

/** Limits of what may come out of encoded content. */
export interface DecodeLimits {
  /**
   * How many times as long as what came over the wire the content may be, once it is longer than
   * 64 MiB. @defaultValue 200
   */
  readonly maxRatio?: number | undefined
  /** Bytes of decoded content. @defaultValue Infinity */
  readonly maxDecodedBytes?: number | undefined
}

// Text comes to 3 to 20, logs to 50, tables of equal rows to some hundreds; zeros in gzip to 1029.
// Apache's mod_deflate has the same limit.
const DEFAULT_MAX_RATIO = 200
// Short responses may have any ratio: 64 MiB do no harm, and come out of gzip in a tenth of a second.
const FREE_BYTES = 67_108_864

/** Counts what comes in, and holds what comes out against it. */
export class DecodeMeter {
  readonly #what: string
  readonly #maxRatio: number
  readonly #maxDecodedBytes: number
  #wireBytes = 0

  constructor(what: string, { maxRatio, maxDecodedBytes }: DecodeLimits) {
    this.#what = what
    this.#maxRatio = maxRatio ?? DEFAULT_MAX_RATIO
    this.#maxDecodedBytes = maxDecodedBytes ?? Number.POSITIVE_INFINITY
  }

  /** Bytes that may come out of what has come in so far. */
  get allowedBytes(): number {
    const byRatio = Math.max(FREE_BYTES, this.#maxRatio * this.#wireBytes)
    return Math.min(byRatio, this.#maxDecodedBytes)
  }

  /** Counts bytes from the wire. */
  addWire(length: number): void {
    this.#wireBytes += length
  }

  /** Throws when so many bytes, which one coding has given in all, are too many. */
  check(decodedBytes: number): void {
    if (decodedBytes <= this.allowedBytes) return
    const limit =
      decodedBytes > this.#maxDecodedBytes
        ? `maxDecodedBytes is ${this.#maxDecodedBytes}`
        : `maxRatio is ${this.#maxRatio}`
    throw this.error(
      `${decodedBytes} bytes out of ${this.#wireBytes}, and not yet the end: ${limit}`,
    )
  }

  /** An error about this content. */
  error(reason: string, options: ErrorOptions = {}): RemoteProtocolError {
    return new RemoteProtocolError(`Cannot decode the content of ${this.#what}: ${reason}`, options)
  }
}

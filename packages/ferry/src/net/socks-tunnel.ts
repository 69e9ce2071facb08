/** Runs the SOCKS 5 codec over pieces of bytes, and words its refusals for a tunnel. */
import { Socks5Client, type Socks5Request } from '../protocol/socks5.ts'
import { type Negotiation, TunnelRefused } from './negotiation.ts'

// RFC 1928 §6: general failure, network or host unreachable, refused, address type not supported
const CODES_OF_ONE_ADDRESS: readonly (number | undefined)[] = [1, 3, 4, 5, 8]

/** One CONNECT by SOCKS 5. */
export class SocksTunnel implements Negotiation {
  readonly #client: Socks5Client
  /** The beginning of a message: never longer than one, 262 bytes. */
  #pending: Buffer = Buffer.alloc(0)

  constructor(request: Socks5Request) {
    this.#client = new Socks5Client(request)
  }

  begin(): Uint8Array {
    return this.#client.greeting()
  }

  push(bytes: Buffer, send: (bytes: Uint8Array) => void): Buffer | undefined {
    this.#pending = Buffer.concat([this.#pending, bytes])
    for (;;) {
      const progress = this.#client.push(this.#pending)
      switch (progress.type) {
        case 'more':
          return undefined
        case 'send':
          send(progress.bytes)
          this.#pending = this.#pending.subarray(progress.taken)
          break
        case 'open':
          return this.#pending.subarray(progress.taken)
        case 'refused': {
          const { code, reason } = progress.refusal
          const otherAddressMayDo = CODES_OF_ONE_ADDRESS.includes(code)
          throw new TunnelRefused(reason, { detail: { reply: code }, otherAddressMayDo })
        }
        default:
          throw new Error(`Unreachable progress ${String(progress satisfies never)}`)
      }
    }
  }
}

/** What the sorts of proxy have in common: a talk that ends with a free way, or with a refusal. */

/** What a proxy must be told, and how its answers are read. */
export interface Negotiation {
  /** What to send first. */
  begin(): string | Uint8Array
  /**
   * Takes bytes and may answer by `send`.
   * @returns undefined while more must come; the bytes behind the proxy's last when the way is free
   * @throws {RemoteProtocolError} {TunnelRefused}
   */
  push(bytes: Buffer, send: (bytes: Uint8Array) => void): Buffer | undefined
}

/** The proxy has understood and does not let us through. */
export class TunnelRefused extends Error {
  readonly detail: Readonly<Record<string, unknown>>
  /** Another address of the same host may be reached. */
  readonly otherAddressMayDo: boolean

  constructor(
    reason: string,
    options: { detail: Readonly<Record<string, unknown>>; otherAddressMayDo?: boolean },
  ) {
    super(reason)
    this.detail = options.detail
    this.otherAddressMayDo = options.otherAddressMayDo ?? false
  }
}

/** The codes with which a WebSocket is closed (RFC 6455 §7.4), and which of them may be sent. */

/** How a WebSocket ended. */
export interface CloseOutcome {
  /** The peer's code; 1005 when it gave none, 1006 when no Close came from it. */
  readonly code: number
  readonly reason: string
  /** Whether both sides sent a Close frame. */
  readonly wasClean: boolean
}

/** Codes that we send ourselves. */
export const CLOSE_CODES = {
  normal: 1000,
  protocolError: 1002,
  /** Stands for a Close frame without a code; never sent. */
  noStatus: 1005,
  /** Stands for no Close frame; never sent. */
  abnormal: 1006,
  invalidText: 1007,
  policy: 1008,
  tooBig: 1009,
  internalError: 1011,
} as const

export const BROKEN: CloseOutcome = { code: CLOSE_CODES.abnormal, reason: '', wasClean: false }

// The 125 bytes of a control frame, less two for the code (RFC 6455 §5.5).
const MAX_REASON_BYTES = 123
/** What the registry has for servers only, or for no frame at all (RFC 6455 §7.4.1, IANA). */
const NEVER_SENT: ReadonlySet<number> = new Set([1004, 1005, 1006, 1010, 1012, 1013, 1014])

/**
 * Checks what is to be sent in a Close frame.
 * @throws {RangeError} when the code is not one for a client, or the reason too long
 */
export function checkClose(code: number, reason: string): void {
  const registered = code >= 1000 && code <= 1014 && !NEVER_SENT.has(code)
  const free = code >= 3000 && code <= 4999
  if (!Number.isInteger(code) || !(registered || free)) {
    throw new RangeError(
      `Cannot close with code ${code}: expected 1000 to 1003, 1007 to 1009, 1011, or 3000 to 4999`,
    )
  }
  const length = Buffer.byteLength(reason)
  if (length > MAX_REASON_BYTES) {
    throw new RangeError(`Cannot close with a reason of ${length} bytes: 123 are the most`)
  }
}

/** The reasons that HTTP/2 has for ending a stream or a connection (RFC 9113 §7). */

export const ErrorCode = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
  INADEQUATE_SECURITY: 0xc,
  HTTP_1_1_REQUIRED: 0xd,
} as const

export type ErrorCodeName = keyof typeof ErrorCode

const NAMES = Object.keys(ErrorCode) as ErrorCodeName[]

/** The name of a code; unknown ones are given as a number. */
export function nameOfErrorCode(code: number): string {
  // The table has no gaps.
  return NAMES[code] ?? `code ${code}`
}

/** What the peer did makes the whole connection useless (RFC 9113 §5.4.1). */
export class ConnectionFault extends Error {
  readonly code: ErrorCodeName

  constructor(code: ErrorCodeName, message: string) {
    super(message)
    this.code = code
  }
}

/** What the peer did makes one stream useless (RFC 9113 §5.4.2). */
export class StreamFault extends Error {
  readonly code: ErrorCodeName

  constructor(code: ErrorCodeName, message: string) {
    super(message)
    this.code = code
  }
}

/** Frame types, flags and setting numbers (RFC 9113 §6, §6.5.2; RFC 8441 §3). */

export const FrameType = {
  DATA: 0x0,
  HEADERS: 0x1,
  PRIORITY: 0x2,
  RST_STREAM: 0x3,
  SETTINGS: 0x4,
  PUSH_PROMISE: 0x5,
  PING: 0x6,
  GOAWAY: 0x7,
  WINDOW_UPDATE: 0x8,
  CONTINUATION: 0x9,
} as const

export const Flag = {
  /** Of SETTINGS and PING. */
  ACK: 0x1,
  /** Of DATA and HEADERS. */
  END_STREAM: 0x1,
  END_HEADERS: 0x4,
  PADDED: 0x8,
  PRIORITY: 0x20,
} as const

export const Setting = {
  HEADER_TABLE_SIZE: 0x1,
  ENABLE_PUSH: 0x2,
  MAX_CONCURRENT_STREAMS: 0x3,
  INITIAL_WINDOW_SIZE: 0x4,
  MAX_FRAME_SIZE: 0x5,
  MAX_HEADER_LIST_SIZE: 0x6,
  ENABLE_CONNECT_PROTOCOL: 0x8,
} as const

/** Length, type, flags and stream (RFC 9113 §4.1). */
export const FRAME_HEADER_BYTES = 9
/** What a peer may send unless told otherwise, and the least that it must accept (§4.2). */
export const DEFAULT_MAX_FRAME_BYTES = 16_384
/** No frame is longer, whatever a peer allows (§6.5.2). */
export const LARGEST_FRAME_BYTES = 16_777_215
/** The window of every stream and of the connection before anybody changes it (§6.9.2). */
export const DEFAULT_WINDOW_BYTES = 65_535
/** No window is wider (§6.9.1), no stream has a higher number (§5.1.1). */
export const MAX_31_BITS = 0x7fff_ffff

/** Frames of WebSockets for tests, right and wrong ones, and what a client has sent (RFC 6455 §5.2). */

export const OPCODES = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

export interface FrameOptions {
  /** @defaultValue true */
  readonly fin?: boolean
  /** The three reserved bits: 4 is RSV1. @defaultValue 0 */
  readonly reserved?: number
  /** What servers must not do. @defaultValue false */
  readonly masked?: boolean
  /** What the header says instead of the truth. */
  readonly claimedLength?: number
}

/** A frame as a server sends it. */
export function formatFrame(
  opcode: number,
  payload: string | Uint8Array = '',
  options: FrameOptions = {},
): Buffer {
  const { fin = true, reserved = 0, masked = false } = options
  const bytes = Buffer.from(payload)
  const length = options.claimedLength ?? bytes.length
  const head = Buffer.alloc(length > 65_535 ? 10 : length > 125 ? 4 : 2)
  head[0] = (fin ? 0x80 : 0) | (reserved << 4) | opcode
  head[1] = (masked ? 0x80 : 0) | (length > 65_535 ? 127 : length > 125 ? 126 : length)
  if (length > 65_535) head.writeUIntBE(length, 4, 6)
  else if (length > 125) head.writeUInt16BE(length, 2)
  // A key of zeros leaves the payload as it is.
  return Buffer.concat([head, Buffer.alloc(masked ? 4 : 0), bytes])
}

/** A Close frame; without a code, an empty one. */
export function formatClose(code?: number, reason: string | Uint8Array = ''): Buffer {
  if (code === undefined) return formatFrame(OPCODES.close)
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(code)
  return formatFrame(OPCODES.close, Buffer.concat([bytes, Buffer.from(reason)]))
}

/** A frame that a client has sent, unmasked. */
export interface ClientFrame {
  readonly opcode: number
  readonly fin: boolean
  readonly masked: boolean
  readonly reserved: number
  readonly payload: Buffer
}

/** Reads whole frames off the beginning, and gives what is left. */
export function parseFrames(bytes: Buffer): { frames: ClientFrame[]; rest: Buffer } {
  const frames: ClientFrame[] = []
  let rest = bytes
  for (;;) {
    const next = parseFrame(rest)
    if (next === undefined) return { frames, rest }
    frames.push(next.frame)
    rest = rest.subarray(next.length)
  }
}

function parseFrame(bytes: Buffer): { frame: ClientFrame; length: number } | undefined {
  const [first = 0, second = 0] = bytes
  if (bytes.length < 2) return undefined
  const short = second & 0x7f
  const sized = short === 127 ? 10 : short === 126 ? 4 : 2
  const masked = (second & 0x80) !== 0
  const payloadAt = sized + (masked ? 4 : 0)
  if (bytes.length < payloadAt) return undefined
  const size =
    short === 127 ? bytes.readUIntBE(4, 6) : short === 126 ? bytes.readUInt16BE(2) : short
  const length = payloadAt + size
  if (bytes.length < length) return undefined
  const key = bytes.subarray(sized, payloadAt)
  const payload = Buffer.from(bytes.subarray(payloadAt, length))
  if (masked) payload.forEach((byte, index) => (payload[index] = byte ^ (key[index & 3] ?? 0)))
  const frame = {
    opcode: first & 0x0f,
    fin: (first & 0x80) !== 0,
    reserved: (first >> 4) & 7,
    masked,
    payload,
  }
  return { frame, length }
}

/** One line a frame, for comparing: `text "hello"`, `close 1000 "bye"`, `text+ "hel"` (not the last). */
export function describeFrame({ opcode, fin, payload }: ClientFrame): string {
  const name = Object.entries(OPCODES).find(([, code]) => code === opcode)?.[0] ?? String(opcode)
  const more = fin ? '' : '+'
  if (opcode !== OPCODES.close) return `${name}${more} ${JSON.stringify(payload.toString())}`
  if (payload.length === 0) return `${name}${more}`
  const reason = payload.subarray(2).toString()
  return `${name}${more} ${payload.readUInt16BE()} ${JSON.stringify(reason)}`
}

/**
 * HTTP/2 frames by hand, for tests: builds what a server sends, also what none should send, and reads
 * what a client has written. Written from RFC 9113 §4 and §6, so that it shares no mistake with the
 * codec: of that it uses only the tables of numbers and HPACK, which has tests of its own.
 */
import { ErrorCode, type ErrorCodeName, nameOfErrorCode } from '../protocol/http2/error-code.ts'
import { Flag, FrameType } from '../protocol/http2/frame-table.ts'
import { HpackDecoder } from '../protocol/http2/hpack-decoder.ts'
import { HpackEncoder } from '../protocol/http2/hpack-encoder.ts'
import type { HpackField } from '../protocol/http2/hpack-field.ts'

export type FieldLine = readonly [name: string, value: string]

interface FrameParts {
  readonly flags?: number
  readonly streamId?: number
  /** Text stands for bytes, one a character. */
  readonly payload?: Uint8Array | string
}

/** Any frame at all (§4.1). */
export function frame(type: number, parts: FrameParts = {}): Buffer {
  const { flags = 0, streamId = 0, payload = '' } = parts
  const content = toBytes(payload)
  const header = Buffer.alloc(9)
  header.writeUIntBE(content.length, 0, 3)
  header[3] = type
  header[4] = flags
  header.writeUInt32BE(streamId, 5)
  return Buffer.concat([header, content])
}

interface ContentOptions {
  readonly endStream?: boolean
  /** Bytes of padding; undefined leaves out the field that tells them, too. */
  readonly padding?: number | undefined
}

export function data(
  streamId: number,
  content: Uint8Array | string = '',
  { endStream = false, padding }: ContentOptions = {},
): Buffer {
  return frame(FrameType.DATA, {
    flags: (endStream ? Flag.END_STREAM : 0) | (padding === undefined ? 0 : Flag.PADDED),
    streamId,
    payload: pad(toBytes(content), padding),
  })
}

interface HeadersOptions extends ContentOptions {
  readonly endHeaders?: boolean
  /** With the five bytes of a priority. */
  readonly priority?: boolean
}

/** HEADERS with a block, or with the block of a list of fields. */
export function headers(
  streamId: number,
  fields: Uint8Array | readonly FieldLine[],
  { endStream = false, endHeaders = true, padding, priority = false }: HeadersOptions = {},
): Buffer {
  const block = fields instanceof Uint8Array ? fields : headerBlock(fields)
  const flags =
    (endStream ? Flag.END_STREAM : 0) |
    (endHeaders ? Flag.END_HEADERS : 0) |
    (padding === undefined ? 0 : Flag.PADDED) |
    (priority ? Flag.PRIORITY : 0)
  const content = priority ? Buffer.concat([PRIORITY_PAYLOAD, block]) : block
  return frame(FrameType.HEADERS, { flags, streamId, payload: pad(content, padding) })
}

export function continuation(
  streamId: number,
  block: Uint8Array | string,
  { endHeaders = true }: { readonly endHeaders?: boolean } = {},
): Buffer {
  const flags = endHeaders ? Flag.END_HEADERS : 0
  return frame(FrameType.CONTINUATION, { flags, streamId, payload: block })
}

export function priority(streamId: number): Buffer {
  return frame(FrameType.PRIORITY, { streamId, payload: PRIORITY_PAYLOAD })
}

export function rstStream(streamId: number, code: ErrorCodeName | number): Buffer {
  return frame(FrameType.RST_STREAM, { streamId, payload: uint32(numberOf(code)) })
}

export function settings(...values: (readonly [id: number, value: number])[]): Buffer {
  const pairs = values.map(([id, value]) => Buffer.concat([uint32(id).subarray(2), uint32(value)]))
  return frame(FrameType.SETTINGS, { payload: Buffer.concat(pairs) })
}

export function settingsAck(): Buffer {
  return frame(FrameType.SETTINGS, { flags: Flag.ACK })
}

/** `opaque` is eight characters. */
export function ping(opaque = '12345678', { ack = false } = {}): Buffer {
  return frame(FrameType.PING, { flags: ack ? Flag.ACK : 0, payload: opaque })
}

export function goAway(lastStreamId: number, code: ErrorCodeName | number, debug = ''): Buffer {
  const payload = Buffer.concat([uint32(lastStreamId), uint32(numberOf(code)), toBytes(debug)])
  return frame(FrameType.GOAWAY, { payload })
}

export function windowUpdate(streamId: number, increment: number): Buffer {
  return frame(FrameType.WINDOW_UPDATE, { streamId, payload: uint32(increment) })
}

/**
 * A header block of its own: it names no entry of an earlier one, so that it may stand anywhere.
 * Names are not checked.
 */
export function headerBlock(fields: readonly FieldLine[]): Buffer {
  const encoder = new HpackEncoder()
  encoder.begin()
  for (const [name, value] of fields) encoder.add(name, value)
  return Buffer.from(encoder.end())
}

/** A frame that a client has written. */
export interface WrittenFrame {
  readonly type: number
  readonly flags: number
  readonly streamId: number
  readonly payload: Buffer
}

/** Cuts bytes into frames; they must end where a frame ends. */
export function cutFrames(bytes: Buffer): WrittenFrame[] {
  const frames: WrittenFrame[] = []
  for (let at = 0; at < bytes.length;) {
    const end = at + 9 + bytes.readUIntBE(at, 3)
    if (end > bytes.length) throw new Error(`a frame of ${end - at} bytes is cut short`)
    frames.push({
      type: bytes[at + 3] as number,
      flags: bytes[at + 4] as number,
      streamId: bytes.readUInt32BE(at + 5),
      payload: bytes.subarray(at + 9, end),
    })
    at = end
  }
  return frames
}

/** Reads header blocks and describes frames, as the peer of one connection. */
export class FrameReader {
  readonly #decoder = new HpackDecoder()
  #block: Buffer[] = []
  /** The fields of every header block, in the order in which they came. */
  readonly fields: FieldLine[][] = []

  /** One line a frame: type, stream, what matters of the payload; `end` for END_STREAM. */
  read(bytes: Buffer): string[] {
    return cutFrames(bytes).map((one) => this.describe(one))
  }

  describe(one: WrittenFrame): string {
    const { type, flags, streamId, payload } = one
    const end = (flags & Flag.END_STREAM) === 0 ? '' : ' end'
    const ack = (flags & Flag.ACK) === 0 ? '' : ' ack'
    switch (type) {
      case FrameType.DATA:
        return `DATA ${streamId} ${payload.length}${end}`
      case FrameType.HEADERS:
        this.#addBlock(one)
        return `HEADERS ${streamId}${end}`
      case FrameType.CONTINUATION:
        this.#addBlock(one)
        return `CONTINUATION ${streamId}`
      case FrameType.RST_STREAM:
        return `RST_STREAM ${streamId} ${nameOfErrorCode(payload.readUInt32BE(0))}`
      case FrameType.SETTINGS:
        return `SETTINGS${ack}${describeSettings(payload)}`
      case FrameType.PING:
        return `PING${ack} ${payload.toString('latin1')}`
      case FrameType.GOAWAY:
        return `GOAWAY ${payload.readUInt32BE(0)} ${nameOfErrorCode(payload.readUInt32BE(4))}`
      case FrameType.WINDOW_UPDATE:
        return `WINDOW_UPDATE ${streamId} ${payload.readUInt32BE(0)}`
      default:
        throw new Error(`a client has no reason to send a frame of type ${type}`)
    }
  }

  #addBlock({ flags, payload }: WrittenFrame): void {
    this.#block.push(payload)
    if ((flags & Flag.END_HEADERS) === 0) return
    const into: HpackField[] = []
    this.#decoder.decode(Buffer.concat(this.#block), into, Number.POSITIVE_INFINITY)
    this.#block = []
    this.fields.push(into.map(({ name, value }) => [name, value]))
  }
}

// Depends on stream 0, weight 16.
const PRIORITY_PAYLOAD = Buffer.from([0, 0, 0, 0, 15])

function describeSettings(payload: Buffer): string {
  let text = ''
  for (let at = 0; at < payload.length; at += 6) {
    text += ` ${payload.readUInt16BE(at)}=${payload.readUInt32BE(at + 2)}`
  }
  return text
}

function pad(content: Uint8Array, padding: number | undefined): Uint8Array {
  return padding === undefined
    ? content
    : Buffer.concat([Buffer.from([padding]), content, Buffer.alloc(padding)])
}

function numberOf(code: ErrorCodeName | number): number {
  return typeof code === 'number' ? code : ErrorCode[code]
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function toBytes(payload: Uint8Array | string): Uint8Array {
  return typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload
}

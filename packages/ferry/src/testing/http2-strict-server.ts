/**
 * A server that believes nothing: reads what a client writes, frame by frame, and holds it against
 * RFC 9113: windows, sizes, states, numbers, header tables, and that content comes as it was sent.
 * What the client may be sent, it keeps the books of as well. Throws at the first violation.
 */
import { Flag, FrameType, Setting } from '../protocol/http2/frame-table.ts'
import { HpackDecoder } from '../protocol/http2/hpack-decoder.ts'
import type { HpackField } from '../protocol/http2/hpack-field.ts'
import { cutFrames, type WrittenFrame } from './http2-frames.ts'

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const DEFAULT_WINDOW = 65_535
const MAX_WINDOW = 2 ** 31 - 1

type SettingPair = readonly [id: number, value: number]

/** A stream as the server sees it. */
export interface StrictStream {
  readonly id: number
  /** What the client may send. */
  window: number
  /** What the server may send. */
  sendWindow: number
  receivedBytes: number
  /** The client has ended its request, or the whole stream. */
  clientEnded: boolean
  clientReset: boolean
  /** What the server has sent of its response. */
  part: 'head' | 'content' | 'ended' | 'reset'
}

/** Content that is the same on every stream: its byte at an offset. */
export function contentByte(streamId: number, offset: number): number {
  return (streamId * 31 + offset * 7) & 0xff
}

/** One connection, from the server's side. */
export class StrictServer {
  readonly streams = new Map<number, StrictStream>()
  window = DEFAULT_WINDOW
  sendWindow = DEFAULT_WINDOW
  goAwayReceived = false
  #begun = false
  #clientInitialWindow = DEFAULT_WINDOW
  #lastId = 0
  #initialWindow = DEFAULT_WINDOW
  #maxFrameBytes = 16_384
  #tableBytes = 4096
  readonly #decoder = new HpackDecoder()
  #block: { readonly id: number; readonly parts: Buffer[]; readonly end: boolean } | undefined
  /** Settings that are sent and not acknowledged: they hold from the acknowledgement on (§6.5.3). */
  readonly #unacknowledged: SettingPair[][] = []

  /** Takes note of frames that the server sends, of what they allow to the client. */
  sends(bytes: Buffer): Buffer {
    for (const { type, flags, streamId, payload } of cutFrames(bytes)) {
      if (type === FrameType.SETTINGS && (flags & Flag.ACK) === 0 && payload.length % 6 === 0) {
        this.#unacknowledged.push(pairsOf(payload))
      } else if (type === FrameType.WINDOW_UPDATE && payload.length === 4) {
        const increment = payload.readUInt32BE(0) & MAX_WINDOW
        const stream = this.streams.get(streamId)
        if (streamId === 0) this.window += increment
        else if (stream !== undefined) stream.window += increment
      }
    }
    return bytes
  }

  read(bytes: Buffer): void {
    let rest = bytes
    if (!this.#begun && bytes.length > 0) {
      check(bytes.subarray(0, PREFACE.length).equals(PREFACE), 'the preface comes first')
      rest = bytes.subarray(PREFACE.length)
      check(rest[3] === FrameType.SETTINGS && rest[4] === 0, 'settings follow the preface')
      this.#begun = true
    }
    for (const one of cutFrames(rest)) this.#readFrame(one)
  }

  #readFrame(one: WrittenFrame): void {
    const { type, streamId, payload } = one
    check(payload.length <= this.#maxFrameBytes, `a frame of ${payload.length} bytes`)
    check((one.streamId & 0x8000_0000) === 0, 'the reserved bit is 0')
    check(!this.goAwayReceived, 'nothing follows GOAWAY of a client that closes')
    check(
      this.#block === undefined || (type === FrameType.CONTINUATION && streamId === this.#block.id),
      'nothing comes between the frames of a header block',
    )
    switch (type) {
      case FrameType.DATA:
        this.#readData(one)
        break
      case FrameType.HEADERS:
        this.#readHeaders(one)
        break
      case FrameType.CONTINUATION:
        this.#readContinuation(one)
        break
      case FrameType.RST_STREAM:
        this.#readReset(one)
        break
      case FrameType.SETTINGS:
        this.#readSettings(one)
        break
      case FrameType.PING:
        check(streamId === 0 && payload.length === 8, 'PING')
        break
      case FrameType.GOAWAY:
        check(streamId === 0 && payload.readUInt32BE(0) === 0, 'we have opened no stream')
        this.goAwayReceived = true
        break
      case FrameType.WINDOW_UPDATE:
        this.#readWindowUpdate(one)
        break
      default:
        check(false, `type ${type} is nothing to send`)
    }
  }

  #readData({ flags, streamId, payload }: WrittenFrame): void {
    const stream = this.streams.get(streamId)
    check(stream !== undefined, 'DATA follows HEADERS')
    check(!stream.clientEnded, 'no DATA comes behind the end of a stream')
    stream.window -= payload.length
    this.window -= payload.length
    check(payload.length === 0 || stream.window >= 0, `the window of stream ${streamId}`)
    check(payload.length === 0 || this.window >= 0, 'the window of the connection')
    for (const byte of payload) {
      check(byte === contentByte(streamId, stream.receivedBytes++), 'content is as it was')
    }
    stream.clientEnded = (flags & Flag.END_STREAM) !== 0
    check(payload.length > 0 || stream.clientEnded, 'empty DATA is good for an end only')
  }

  #readHeaders({ flags, streamId, payload }: WrittenFrame): void {
    const stream = this.streams.get(streamId)
    const end = (flags & Flag.END_STREAM) !== 0
    if (stream === undefined) {
      check(streamId % 2 === 1 && streamId > this.#lastId, 'numbers are odd and go up')
      this.#lastId = streamId
      this.streams.set(streamId, {
        id: streamId,
        window: this.#initialWindow,
        sendWindow: this.#clientInitialWindow,
        receivedBytes: 0,
        clientEnded: end,
        clientReset: false,
        part: 'head',
      })
    } else {
      check(!stream.clientEnded && end, 'HEADERS open a stream or are trailers that end it')
      stream.clientEnded = true
    }
    this.#block = { id: streamId, parts: [payload], end }
    if ((flags & Flag.END_HEADERS) !== 0) this.#endBlock()
  }

  #readContinuation({ flags, payload }: WrittenFrame): void {
    check(this.#block !== undefined, 'CONTINUATION continues something')
    this.#block.parts.push(payload)
    if ((flags & Flag.END_HEADERS) !== 0) this.#endBlock()
  }

  #endBlock(): void {
    const fields: HpackField[] = []
    this.#decoder.decode(Buffer.concat(this.#block?.parts ?? []), fields, Number.POSITIVE_INFINITY)
    check(this.#decoder.tableBytes <= this.#tableBytes, 'the table is as small as was asked for')
    this.#block = undefined
  }

  #readReset({ streamId }: WrittenFrame): void {
    const stream = this.streams.get(streamId)
    check(stream !== undefined, 'RST_STREAM follows HEADERS')
    check(!stream.clientReset, 'RST_STREAM comes once')
    stream.clientEnded = true
    stream.clientReset = true
  }

  #readSettings({ flags, payload }: WrittenFrame): void {
    if ((flags & Flag.ACK) === 0) {
      for (const [id, value] of pairsOf(payload)) {
        if (id === Setting.INITIAL_WINDOW_SIZE) this.#clientInitialWindow = value
      }
      return
    }
    const values = this.#unacknowledged.shift()
    check(values !== undefined, 'an acknowledgement answers settings')
    for (const [id, value] of values) {
      if (id === Setting.HEADER_TABLE_SIZE) this.#tableBytes = value
      if (id === Setting.MAX_FRAME_SIZE) this.#maxFrameBytes = value
      if (id !== Setting.INITIAL_WINDOW_SIZE) continue
      for (const stream of this.streams.values()) stream.window += value - this.#initialWindow
      this.#initialWindow = value
    }
  }

  #readWindowUpdate({ streamId, payload }: WrittenFrame): void {
    const increment = payload.readUInt32BE(0)
    check(increment > 0 && increment <= MAX_WINDOW, 'a window update is more than 0')
    if (streamId === 0) {
      this.sendWindow += increment
      check(this.sendWindow <= MAX_WINDOW, 'no window is wider than 2^31-1')
      return
    }
    const stream = this.streams.get(streamId)
    check(stream !== undefined && !stream.clientReset, 'WINDOW_UPDATE of a stream that is there')
    stream.sendWindow += increment
    check(stream.sendWindow <= 8_388_608, 'no stream is given more than 8 MiB')
  }
}

function pairsOf(payload: Buffer): SettingPair[] {
  return Array.from({ length: payload.length / 6 }, (_, index) => [
    payload.readUInt16BE(index * 6),
    payload.readUInt32BE(index * 6 + 2),
  ])
}

function check(condition: boolean, rule: string): asserts condition {
  if (!condition) throw new Error(`The client broke a rule: ${rule}`)
}

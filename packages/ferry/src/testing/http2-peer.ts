/**
 * A server's side of HTTP/2 on a connection in memory, played by hand: a test says what it sends, and
 * reads what the client has written as lines. It keeps the windows that the client gives it, so that
 * `offer()` can send as much as is allowed; all else is for the test to get right or wrong.
 */
import { type ErrorCodeName } from '../protocol/http2/error-code.ts'
import { Flag, FrameType, Setting } from '../protocol/http2/frame-table.ts'
import type { MemoryStream } from '../net/memory-backend.ts'
import {
  cutFrames,
  data,
  type FieldLine,
  FrameReader,
  goAway,
  headers,
  ping,
  rstStream,
  settings,
  windowUpdate,
  type WrittenFrame,
} from './http2-frames.ts'

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const MAX_DATA_BYTES = 16_384

/** Settings by name; those that are left out are not sent. */
export interface PeerValues {
  readonly maxStreams?: number
  readonly windowBytes?: number
  readonly maxFrameBytes?: number
  readonly connectProtocol?: boolean
}

/** One request as it has come so far. */
export interface PeerRequest {
  readonly id: number
  /** By name; later lines of the same name are appended with a comma. */
  readonly fields: Map<string, string>
  /** Fields behind the content. */
  readonly trailers: Map<string, string>
  content: string
  ended: boolean
  /** The client has reset it. */
  reset: boolean
}

/** What waits to be sent as the client's windows allow. */
interface Offer {
  bytes: Buffer
  end: boolean
}

/** The far side of one connection. */
export class Http2Peer {
  readonly stream: MemoryStream
  /** Every request, in the order of their streams. */
  readonly requests: PeerRequest[] = []
  /** What the client lets us send on the connection. */
  window = 65_535
  readonly #reader = new FrameReader()
  readonly #windows = new Map<number, number>()
  readonly #offers = new Map<number, Offer>()
  /** Streams that we have ended or reset. */
  readonly #answered = new Set<number>()
  /** Streams that we have reset, or not taken on. */
  readonly #refused = new Set<number>()
  #initialWindow = 65_535
  #position = 0

  constructor(stream: MemoryStream) {
    this.stream = stream
  }

  // ── What the client has written

  /** The frames since the last call, a line each; a head tells method and path. */
  take(): string[] {
    const text = this.stream.written
    if (this.#position === 0 && text.startsWith(PREFACE)) this.#position = PREFACE.length
    const bytes = Buffer.from(text.slice(this.#position), 'latin1')
    this.#position = text.length
    return cutFrames(bytes).map((frame) => this.#read(frame))
  }

  /** As `take()`, without what a peer says about itself and its windows. */
  takeRequests(): string[] {
    return this.take().filter((line) => !/^(SETTINGS|WINDOW_UPDATE|PING)/.test(line))
  }

  /** The request on a stream. */
  request(id = 1): PeerRequest {
    this.take()
    const request = this.requests.find((one) => one.id === id)
    if (request === undefined) throw new RangeError(`No request came on stream ${id}`)
    return request
  }

  /** Requests that were neither reset nor answered to the end by `respond()` and the like. */
  get open(): PeerRequest[] {
    this.take()
    return this.requests.filter(({ id, reset }) => !reset && !this.#answered.has(id))
  }

  /** Whether a stream is over for both sides. */
  isOver({ id, ended, reset }: PeerRequest): boolean {
    return reset || this.#refused.has(id) || (ended && this.#answered.has(id))
  }

  /** What the client lets us send on a stream. */
  windowOf(id: number): number {
    this.take()
    return this.#windows.get(id) ?? 0
  }

  // ── What the server sends

  send(...frames: readonly Buffer[]): void {
    this.stream.send(Buffer.concat(frames))
  }

  settings(values: PeerValues = {}): void {
    this.send(settingsOf(values))
  }

  /** A whole response. */
  respond(id = 1, content = 'hello', status = 200): void {
    this.#answered.add(id)
    this.send(...responseOf(id, content, status))
  }

  head(id: number, status: number, fields: readonly FieldLine[] = [], endStream = false): void {
    if (endStream) this.#answered.add(id)
    this.send(headOf(id, status, fields, endStream))
  }

  data(id: number, content: string | Uint8Array, endStream = false): void {
    if (endStream) this.#answered.add(id)
    this.send(data(id, content, { endStream }))
  }

  reset(id: number, code: ErrorCodeName | number): void {
    this.#answered.add(id)
    this.#refused.add(id)
    this.send(rstStream(id, code))
  }

  goAway(lastStreamId: number, code: ErrorCodeName = 'NO_ERROR'): void {
    for (const { id } of this.requests) {
      if (id <= lastStreamId) continue
      this.#answered.add(id)
      this.#refused.add(id)
    }
    this.send(goAway(lastStreamId, code))
  }

  ping(): void {
    this.send(ping())
  }

  pong(): void {
    this.send(ping('\0'.repeat(8), { ack: true }))
  }

  /** Lets the client send more, on a stream or, without a number, on the connection. */
  widen(bytes: number, id = 0): void {
    this.send(windowUpdate(id, bytes))
  }

  /** Sends content as far as the client's windows allow; the rest when `offerMore()` is called. */
  offer(id: number, content: Uint8Array | string, { end = false } = {}): void {
    const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : content
    const before = this.#offers.get(id)?.bytes ?? Buffer.alloc(0)
    this.#offers.set(id, { bytes: Buffer.concat([before, bytes]), end })
    this.offerMore()
  }

  /** Sends what waits as far as that is allowed now. @returns bytes that go on waiting */
  offerMore(): number {
    let waiting = 0
    for (let moved = true; moved;) {
      this.take()
      moved = false
      waiting = 0
      for (const [id, offer] of this.#offers) {
        if (this.#sendPiece(id, offer)) moved = true
        waiting += offer.bytes.length
      }
    }
    return waiting
  }

  #sendPiece(id: number, offer: Offer): boolean {
    const window = this.#windows.get(id) ?? 0
    const length = Math.min(offer.bytes.length, window, this.window, MAX_DATA_BYTES)
    if (length <= 0 && (offer.bytes.length > 0 || !offer.end)) return false
    const piece = offer.bytes.subarray(0, length)
    offer.bytes = offer.bytes.subarray(length)
    this.#windows.set(id, window - length)
    this.window -= length
    const isLast = offer.end && offer.bytes.length === 0
    if (isLast) this.#offers.delete(id)
    this.data(id, piece, isLast)
    return true
  }

  #read(frame: WrittenFrame): string {
    const line = this.#reader.describe(frame)
    const { type, flags, streamId, payload } = frame
    const request = this.requests.find(({ id }) => id === streamId)
    const isEnd = (flags & Flag.END_STREAM) !== 0
    switch (type) {
      case FrameType.HEADERS:
      case FrameType.CONTINUATION:
        if ((flags & Flag.END_HEADERS) === 0) return line
        return this.#readFields(line, streamId, isEnd)
      case FrameType.DATA:
        if (request !== undefined) {
          request.content += payload.toString('latin1')
          request.ended = isEnd
        }
        return line
      case FrameType.RST_STREAM:
        if (request !== undefined) request.reset = true
        this.#offers.delete(streamId)
        return line
      case FrameType.WINDOW_UPDATE:
        this.#widen(streamId, payload.readUInt32BE(0))
        return line
      case FrameType.SETTINGS:
        this.#readSettings(payload)
        return line
      default:
        return line
    }
  }

  #readFields(line: string, id: number, isEnd: boolean): string {
    const fields = this.#reader.fields.at(-1) ?? []
    const known = this.requests.find((request) => request.id === id)
    const request = known ?? {
      id,
      fields: new Map<string, string>(),
      trailers: new Map<string, string>(),
      content: '',
      ended: false,
      reset: false,
    }
    const into = known === undefined ? request.fields : request.trailers
    for (const [name, value] of fields) {
      const before = into.get(name)
      into.set(name, before === undefined ? value : `${before}, ${value}`)
    }
    request.ended = isEnd
    if (known !== undefined) return `${line} ${fields.map((field) => field.join('=')).join(' ')}`
    this.requests.push(request)
    this.#windows.set(id, this.#initialWindow)
    const path = request.fields.get(':path') ?? request.fields.get(':authority')
    return `${line} ${request.fields.get(':method')} ${path}`
  }

  #readSettings(payload: Buffer): void {
    for (let at = 0; at < payload.length; at += 6) {
      if (payload.readUInt16BE(at) !== Setting.INITIAL_WINDOW_SIZE) continue
      this.#initialWindow = payload.readUInt32BE(at + 2)
    }
  }

  #widen(id: number, bytes: number): void {
    if (id === 0) this.window += bytes
    else this.#windows.set(id, (this.#windows.get(id) ?? 0) + bytes)
  }
}

/** The settings of a server, as a frame. */
export function settingsOf(values: PeerValues = {}): Buffer {
  const { maxStreams, windowBytes, maxFrameBytes, connectProtocol } = values
  const pairs: (readonly [number, number | undefined])[] = [
    [Setting.MAX_CONCURRENT_STREAMS, maxStreams],
    [Setting.INITIAL_WINDOW_SIZE, windowBytes],
    [Setting.MAX_FRAME_SIZE, maxFrameBytes],
    [Setting.ENABLE_CONNECT_PROTOCOL, connectProtocol === true ? 1 : undefined],
  ]
  return settings(...pairs.filter((pair): pair is [number, number] => pair[1] !== undefined))
}

/** The head of a response, as a frame. */
export function headOf(
  id: number,
  status: number,
  fields: readonly FieldLine[] = [],
  endStream = false,
): Buffer {
  return headers(id, [[':status', String(status)], ...fields], { endStream })
}

/** A whole response as frames: head and content. */
export function responseOf(id: number, content = 'hello', status = 200): Buffer[] {
  const length: FieldLine = ['content-length', String(content.length)]
  return [headOf(id, status, [length]), data(id, content, { endStream: true })]
}

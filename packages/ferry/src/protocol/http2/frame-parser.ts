/**
 * Reads HTTP/2 frames from bytes (RFC 9113 §4, §6): bytes in, events out, no I/O, no clock.
 *
 * Owns what can be said of a frame by itself: its length, its padding, whether it may stand on stream 0,
 * and that nothing comes between the parts of a header block. Content of DATA is given as it comes,
 * however the bytes are cut; every other frame is given whole. What frames mean together is the
 * business of `client-session.ts`.
 *
 *     header → payload → header …
 *     header → (pad-length) → data → (padding) → header …
 *     any → stopped
 */
import { ConnectionFault } from './error-code.ts'
import { DEFAULT_MAX_FRAME_BYTES, Flag, FRAME_HEADER_BYTES, FrameType } from './frame-table.ts'

/** What the parser tells, in the order of the wire. Bytes are valid only during the call. */
export interface FrameEvents {
  /**
   * A piece of content: `bytes[start]` up to, not including, `bytes[end]`, perhaps nothing.
   * `flowBytes` is what counts against the windows, padding included; `endStream` comes with the
   * last piece.
   */
  onData(
    streamId: number,
    piece: {
      readonly bytes: Buffer
      readonly start: number
      readonly end: number
      readonly flowBytes: number
      readonly endStream: boolean
      /** It ends a frame that had no content at all. */
      readonly endsEmptyFrame: boolean
    },
  ): void
  /** A whole header block. */
  onHeaders(streamId: number, block: Buffer, endStream: boolean): void
  onRstStream(streamId: number, code: number): void
  /** The payload: pairs of two bytes of identifier and four of value. */
  onSettings(payload: Buffer): void
  onSettingsAck(): void
  onPing(payload: Buffer, ack: boolean): void
  onGoAway(lastStreamId: number, code: number, debug: Buffer): void
  onWindowUpdate(streamId: number, increment: number): void
  /** PRIORITY, or a type that is unknown: of no effect, but it has cost us something. */
  onIgnored(): void
}

/** Bounds on what a peer may make us hold. */
export interface FrameLimits {
  readonly maxFrameBytes: number
  /** Bytes of one header block, compressed, over all its frames. */
  readonly maxBlockBytes: number
  /** The first frame must be SETTINGS (§3.4), as at the beginning of a connection. */
  readonly beginsWithSettings: boolean
}

export const DEFAULT_FRAME_LIMITS: FrameLimits = {
  maxFrameBytes: DEFAULT_MAX_FRAME_BYTES,
  // As much as a head may have in HTTP/1.1.
  maxBlockBytes: 65_536,
  beginsWithSettings: false,
}

// A block of the greatest size in frames of the smallest sensible size; more is an attack.
const MAX_BLOCK_FRAMES = 64
const PRIORITY_BYTES = 5
const HTTP1_BEGINNING = 'HTTP/1.'
const NO_BYTES = Buffer.alloc(0)

type ParserState = 'header' | 'payload' | 'pad-length' | 'data' | 'padding' | 'stopped'

/** Reads the frames that a server sends. */
export class FrameParser {
  readonly #events: FrameEvents
  readonly #limits: FrameLimits
  #state: ParserState = 'header'
  #hasBegun: boolean
  /** The header of a frame that is not whole yet. */
  readonly #header: Buffer = Buffer.allocUnsafe(FRAME_HEADER_BYTES)
  /** The payload of a frame that is not DATA and not whole yet. */
  #held: Buffer = NO_BYTES
  /** How much of `#header` or `#held` is here. */
  #heldBytes = 0
  #type = 0
  #flags = 0
  #streamId = 0
  /** Bytes of the frame, or of the part that the state names, still to come. */
  #remaining = 0
  #padBytes = 0
  /** Bytes of the pad length field that are still to be told of. */
  #untoldBytes = 0
  /** The DATA frame has brought content. */
  #hasContent = false
  /** The stream whose header block is not whole yet; 0 for none. */
  #blockStreamId = 0
  #blockEndsStream = false
  #block: Buffer[] = []
  #blockBytes = 0

  constructor(events: FrameEvents, limits: FrameLimits = DEFAULT_FRAME_LIMITS) {
    this.#events = events
    this.#limits = limits
    this.#hasBegun = !limits.beginsWithSettings
  }

  /**
   * Takes the next bytes, all of them.
   * @throws {ConnectionFault} when a frame breaks the rules; the parser is of no use then
   */
  push(bytes: Buffer): void {
    let position = 0
    const { length } = bytes
    while (position < length) {
      // Read each time: what is told may stop it.
      switch (this.#state) {
        case 'header':
          position = this.#readHeader(bytes, position)
          break
        case 'payload':
          position = this.#readPayload(bytes, position)
          break
        case 'pad-length':
          this.#startPadded(bytes[position] as number)
          position++
          break
        case 'data':
          position = this.#readData(bytes, position)
          break
        case 'padding':
          position = this.#readPadding(bytes, position)
          break
        case 'stopped':
          return
      }
    }
  }

  /** Takes nothing more. */
  stop(): void {
    this.#state = 'stopped'
  }

  #readHeader(bytes: Buffer, position: number): number {
    if (this.#heldBytes === 0 && bytes.length - position >= FRAME_HEADER_BYTES) {
      this.#startFrame(bytes, position)
      return position + FRAME_HEADER_BYTES
    }
    const end = Math.min(position + FRAME_HEADER_BYTES - this.#heldBytes, bytes.length)
    bytes.copy(this.#header, this.#heldBytes, position, end)
    this.#heldBytes += end - position
    if (this.#heldBytes === FRAME_HEADER_BYTES) {
      this.#heldBytes = 0
      this.#startFrame(this.#header, 0)
    }
    return end
  }

  #startFrame(bytes: Buffer, at: number): void {
    const length =
      ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number)
    this.#type = bytes[at + 3] as number
    this.#flags = bytes[at + 4] as number
    // The highest bit is reserved and ignored (§4.1).
    this.#streamId =
      (((bytes[at + 5] as number) & 0x7f) << 24) |
      ((bytes[at + 6] as number) << 16) |
      ((bytes[at + 7] as number) << 8) |
      (bytes[at + 8] as number)
    this.#remaining = length
    if (!this.#hasBegun) this.#checkBeginning(bytes, at)
    this.#checkHeader(length)
    if (this.#type === FrameType.DATA) this.#startData(length)
    else if (length === 0) this.#endPayload(NO_BYTES)
    else this.#state = 'payload'
  }

  /** §3.4: the first frame is SETTINGS, and no acknowledgement. */
  #checkBeginning(bytes: Buffer, at: number): void {
    this.#hasBegun = true
    if (this.#type === FrameType.SETTINGS && (this.#flags & Flag.ACK) === 0) return
    const text = bytes.toString('latin1', at, at + HTTP1_BEGINNING.length)
    throw new ConnectionFault(
      'PROTOCOL_ERROR',
      text === HTTP1_BEGINNING ? 'HTTP/1.1 instead of HTTP/2' : 'no settings at the beginning',
    )
  }

  #checkHeader(length: number): void {
    if (length > this.#limits.maxFrameBytes) {
      throw new ConnectionFault('FRAME_SIZE_ERROR', `a frame of ${length} bytes`)
    }
    const type = this.#type
    if (this.#blockStreamId !== 0) {
      // §6.10: nothing comes between the frames of one header block.
      if (type === FrameType.CONTINUATION && this.#streamId === this.#blockStreamId) return
      throw new ConnectionFault('PROTOCOL_ERROR', 'a frame inside a header block')
    }
    const fixed = FIXED_LENGTHS[type]
    if (fixed !== undefined && length !== fixed) {
      throw new ConnectionFault('FRAME_SIZE_ERROR', `a frame of type ${type} with ${length} bytes`)
    }
    const place = PLACES[type]
    if (place !== undefined && (place === 'connection') !== (this.#streamId === 0)) {
      throw new ConnectionFault('PROTOCOL_ERROR', `a frame of type ${type} on a wrong stream`)
    }
    if (type === FrameType.PUSH_PROMISE) {
      // §8.4: we have told the peer that we take none.
      throw new ConnectionFault('PROTOCOL_ERROR', 'a pushed response')
    }
    if (type === FrameType.CONTINUATION) {
      throw new ConnectionFault('PROTOCOL_ERROR', 'CONTINUATION without a header block')
    }
  }

  // ── DATA

  #startData(length: number): void {
    this.#padBytes = 0
    this.#untoldBytes = 0
    this.#hasContent = false
    if ((this.#flags & Flag.PADDED) !== 0) {
      if (length === 0) throw new ConnectionFault('FRAME_SIZE_ERROR', 'padding without its length')
      this.#state = 'pad-length'
    } else if (length === 0) {
      this.#state = 'header'
      this.#tellData(NO_BYTES, 0, 0, 0)
    } else {
      this.#state = 'data'
    }
  }

  #startPadded(padBytes: number): void {
    // §6.1: padding as long as the payload, or longer, is an error.
    if (padBytes >= this.#remaining) throw tooMuchPadding()
    this.#padBytes = padBytes
    this.#untoldBytes = 1
    this.#remaining -= 1 + padBytes
    this.#state = 'data'
    if (this.#remaining === 0) this.#endContent()
  }

  #readData(bytes: Buffer, position: number): number {
    const end = Math.min(position + this.#remaining, bytes.length)
    this.#remaining -= end - position
    this.#hasContent = true
    const flowBytes = end - position + this.#untoldBytes
    if (this.#remaining === 0 && this.#padBytes === 0) {
      this.#state = 'header'
      this.#tellData(bytes, position, end, flowBytes)
    } else {
      this.#untoldBytes = 0
      this.#tellPiece(bytes, position, end, flowBytes)
      // Whoever was told may have stopped it.
      if (this.#remaining === 0 && this.#state === 'data') this.#endContent()
    }
    return end
  }

  /** The content of a padded frame is here; what is left is padding. */
  #endContent(): void {
    if (this.#padBytes === 0) {
      this.#state = 'header'
      this.#tellData(NO_BYTES, 0, 0, this.#untoldBytes)
    } else {
      this.#remaining = this.#padBytes
      this.#state = 'padding'
    }
  }

  #readPadding(bytes: Buffer, position: number): number {
    const end = Math.min(position + this.#remaining, bytes.length)
    this.#remaining -= end - position
    if (this.#remaining === 0) {
      this.#state = 'header'
      this.#tellData(NO_BYTES, 0, 0, this.#padBytes + this.#untoldBytes)
    }
    return end
  }

  /** The last piece of a frame. */
  #tellData(bytes: Buffer, start: number, end: number, flowBytes: number): void {
    const endStream = (this.#flags & Flag.END_STREAM) !== 0
    const endsEmptyFrame = !this.#hasContent
    this.#events.onData(this.#streamId, {
      bytes,
      start,
      end,
      flowBytes,
      endStream,
      endsEmptyFrame,
    })
  }

  #tellPiece(bytes: Buffer, start: number, end: number, flowBytes: number): void {
    this.#events.onData(this.#streamId, {
      bytes,
      start,
      end,
      flowBytes,
      endStream: false,
      endsEmptyFrame: false,
    })
  }

  // ── All others

  #readPayload(bytes: Buffer, position: number): number {
    const end = Math.min(position + this.#remaining, bytes.length)
    const isWhole = end - position === this.#remaining
    if (isWhole && this.#heldBytes === 0) {
      this.#endPayload(bytes.subarray(position, end))
      return end
    }
    if (this.#heldBytes === 0) this.#held = Buffer.allocUnsafe(this.#remaining)
    bytes.copy(this.#held, this.#heldBytes, position, end)
    this.#heldBytes += end - position
    this.#remaining -= end - position
    if (isWhole) {
      const payload = this.#held
      this.#held = NO_BYTES
      this.#heldBytes = 0
      this.#endPayload(payload)
    }
    return end
  }

  #endPayload(payload: Buffer): void {
    this.#state = 'header'
    const events = this.#events
    switch (this.#type) {
      case FrameType.HEADERS:
        this.#readHeaders(payload)
        break
      case FrameType.CONTINUATION:
        this.#addToBlock(payload)
        break
      case FrameType.RST_STREAM:
        events.onRstStream(this.#streamId, payload.readUInt32BE(0))
        break
      case FrameType.SETTINGS:
        this.#readSettings(payload)
        break
      case FrameType.PING:
        events.onPing(payload, (this.#flags & Flag.ACK) !== 0)
        break
      case FrameType.GOAWAY:
        if (payload.length < 8) throw new ConnectionFault('FRAME_SIZE_ERROR', 'a short GOAWAY')
        events.onGoAway(read31(payload, 0), payload.readUInt32BE(4), payload.subarray(8))
        break
      case FrameType.WINDOW_UPDATE:
        events.onWindowUpdate(this.#streamId, read31(payload, 0))
        break
      default:
        // §4.1, §5.5: unknown types are ignored; priorities are advice that we do not take (§5.3.2).
        events.onIgnored()
    }
  }

  #readSettings(payload: Buffer): void {
    if ((this.#flags & Flag.ACK) !== 0) {
      if (payload.length > 0) {
        throw new ConnectionFault('FRAME_SIZE_ERROR', 'an acknowledgement of settings with content')
      }
      this.#events.onSettingsAck()
    } else if (payload.length % 6 !== 0) {
      throw new ConnectionFault('FRAME_SIZE_ERROR', `settings of ${payload.length} bytes`)
    } else {
      this.#events.onSettings(payload)
    }
  }

  #readHeaders(payload: Buffer): void {
    let start = 0
    let end = payload.length
    if ((this.#flags & Flag.PADDED) !== 0) {
      if (end === 0) throw new ConnectionFault('FRAME_SIZE_ERROR', 'padding without its length')
      end -= payload[0] as number
      start = 1
    }
    if ((this.#flags & Flag.PRIORITY) !== 0) start += PRIORITY_BYTES
    // §4.2: too short for what it must hold.
    if (start > payload.length) throw new ConnectionFault('FRAME_SIZE_ERROR', 'short HEADERS')
    if (start > end) throw tooMuchPadding()
    this.#blockEndsStream = (this.#flags & Flag.END_STREAM) !== 0
    const fragment = payload.subarray(start, end)
    if ((this.#flags & Flag.END_HEADERS) !== 0) {
      this.#events.onHeaders(this.#streamId, fragment, this.#blockEndsStream)
    } else {
      this.#blockStreamId = this.#streamId
      this.#keep(fragment)
    }
  }

  #addToBlock(fragment: Buffer): void {
    this.#keep(fragment)
    if ((this.#flags & Flag.END_HEADERS) === 0) return
    const block = Buffer.concat(this.#block, this.#blockBytes)
    this.#block = []
    this.#blockBytes = 0
    this.#blockStreamId = 0
    this.#events.onHeaders(this.#streamId, block, this.#blockEndsStream)
  }

  #keep(fragment: Buffer): void {
    this.#block.push(Buffer.from(fragment))
    this.#blockBytes += fragment.length
    const { maxBlockBytes } = this.#limits
    if (this.#blockBytes > maxBlockBytes || this.#block.length > MAX_BLOCK_FRAMES) {
      throw new ConnectionFault(
        'ENHANCE_YOUR_CALM',
        `a header block of more than ${maxBlockBytes} bytes or ${MAX_BLOCK_FRAMES} frames`,
      )
    }
  }
}

/** Lengths of payloads that have only one (§6). */
const FIXED_LENGTHS: Readonly<Record<number, number>> = {
  [FrameType.PRIORITY]: 5,
  [FrameType.RST_STREAM]: 4,
  [FrameType.PING]: 8,
  [FrameType.WINDOW_UPDATE]: 4,
}

/** Where frames may stand (§6); those that are not named may stand anywhere. */
const PLACES: Readonly<Record<number, 'stream' | 'connection'>> = {
  [FrameType.DATA]: 'stream',
  [FrameType.HEADERS]: 'stream',
  [FrameType.PRIORITY]: 'stream',
  [FrameType.RST_STREAM]: 'stream',
  [FrameType.SETTINGS]: 'connection',
  [FrameType.PUSH_PROMISE]: 'stream',
  [FrameType.PING]: 'connection',
  [FrameType.GOAWAY]: 'connection',
  [FrameType.CONTINUATION]: 'stream',
}

function read31(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) & 0x7fff_ffff
}

function tooMuchPadding(): ConnectionFault {
  return new ConnectionFault('PROTOCOL_ERROR', 'padding longer than its frame')
}

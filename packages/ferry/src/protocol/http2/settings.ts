/** What each side tells the other about itself (RFC 9113 §6.5): read, checked, and with its defaults. */
import { ConnectionFault } from './error-code.ts'
import {
  DEFAULT_MAX_FRAME_BYTES,
  DEFAULT_WINDOW_BYTES,
  LARGEST_FRAME_BYTES,
  MAX_31_BITS,
  Setting,
} from './frame-table.ts'

/** What the peer has told. */
export interface PeerSettings {
  /** Streams that we may have open at once. */
  maxConcurrentStreams: number
  initialWindowBytes: number
  maxFrameBytes: number
  /** Whether it takes CONNECT with a protocol (RFC 8441). */
  connectProtocol: boolean
}

// §6.5.2 recommends that no peer allow fewer; until it tells, we take it at that.
const STREAMS_BEFORE_SETTINGS = 100

export function defaultPeerSettings(): PeerSettings {
  return {
    maxConcurrentStreams: STREAMS_BEFORE_SETTINGS,
    initialWindowBytes: DEFAULT_WINDOW_BYTES,
    maxFrameBytes: DEFAULT_MAX_FRAME_BYTES,
    connectProtocol: false,
  }
}

/**
 * Takes up what the payload of a SETTINGS frame changes, in its order. `onTableBytes` is told of each
 * size of the header table, since the smallest counts besides the last (RFC 7541 §4.2).
 * @throws {ConnectionFault} when a value is not allowed
 */
export function applySettings(
  settings: PeerSettings,
  payload: Buffer,
  onTableBytes: (bytes: number) => void,
): void {
  for (let at = 0; at < payload.length; at += 6) {
    const id = payload.readUInt16BE(at)
    const value = payload.readUInt32BE(at + 2)
    if (id === Setting.HEADER_TABLE_SIZE) onTableBytes(value)
    else applySetting(settings, id, value)
  }
}

function applySetting(settings: PeerSettings, id: number, value: number): void {
  switch (id) {
    case Setting.ENABLE_PUSH:
      // A client treats 1 as an error too: only servers push.
      if (value !== 0) throw badSetting('PROTOCOL_ERROR', 'ENABLE_PUSH', value)
      break
    case Setting.MAX_CONCURRENT_STREAMS:
      settings.maxConcurrentStreams = value
      break
    case Setting.INITIAL_WINDOW_SIZE:
      if (value > MAX_31_BITS) throw badSetting('FLOW_CONTROL_ERROR', 'INITIAL_WINDOW_SIZE', value)
      settings.initialWindowBytes = value
      break
    case Setting.MAX_FRAME_SIZE:
      if (value < DEFAULT_MAX_FRAME_BYTES || value > LARGEST_FRAME_BYTES) {
        throw badSetting('PROTOCOL_ERROR', 'MAX_FRAME_SIZE', value)
      }
      settings.maxFrameBytes = value
      break
    case Setting.ENABLE_CONNECT_PROTOCOL:
      // RFC 8441 §3: 0 or 1, and not back to 0.
      if (value > 1 || (value === 0 && settings.connectProtocol)) {
        throw badSetting('PROTOCOL_ERROR', 'ENABLE_CONNECT_PROTOCOL', value)
      }
      settings.connectProtocol = value === 1
      break
    default:
    // §6.5.2: unknown ones are ignored. MAX_HEADER_LIST_SIZE is advice: a server that minds says 431.
  }
}

function badSetting(
  code: 'PROTOCOL_ERROR' | 'FLOW_CONTROL_ERROR',
  name: string,
  value: number,
): ConnectionFault {
  return new ConnectionFault(code, `the setting ${name} with ${value}`)
}

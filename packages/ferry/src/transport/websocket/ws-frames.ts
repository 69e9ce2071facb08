/**
 * The parts of the package `ws` that we build on, with types of our own: its reader and writer of
 * frames and its compression, not its WebSocket.
 *
 * Owns nothing but the names. Only what is used is declared, as version 8.23 documents it in its
 * sources; @types/ws leaves these classes out.
 */
import type { Writable } from 'node:stream'
import * as ws from 'ws'

/** Parameters of an extension by name: a number, or true for one without a value. */
export type ExtensionParams = Record<string, number | true>
/** As read from a field, not yet checked: values are a list for each name. */
export type RawExtensionParams = Record<string, (string | true)[]>

/** RFC 7692, one for each connection. */
export interface PerMessageDeflate {
  readonly params: ExtensionParams | null
  offer(): ExtensionParams
  /** @throws {Error} when the answer does not go with the offer */
  accept(configurations: RawExtensionParams[]): ExtensionParams
  compress(bytes: Uint8Array | string, fin: boolean, done: DeflateDone): void
  decompress(bytes: Buffer, fin: boolean, done: DeflateDone): void
  /** Frees zlib's memory; never while bytes are being inflated. */
  cleanup(): void
}

export type DeflateDone = (error: Error | null, bytes: Buffer) => void

export interface PerMessageDeflateSettings {
  readonly serverNoContextTakeover?: boolean | undefined
  readonly clientNoContextTakeover?: boolean | undefined
  readonly serverMaxWindowBits?: number | undefined
  readonly clientMaxWindowBits?: number | undefined
  /** 0: whoever calls `send` decides alone. */
  readonly threshold: number
  readonly maxPayload: number
}

type Extensions = Readonly<Record<string, PerMessageDeflate>>

/**
 * Reads frames. Emits `message` (bytes, isBinary), `ping`, `pong` (bytes), `conclude` (code, reason)
 * and, for what breaks the rules, `error` with a `code`. Keeps what is written to it.
 */
export type Receiver = Writable

export interface ReceiverSettings {
  readonly extensions: Extensions
  readonly maxPayload: number
  readonly maxBufferedChunks: number
  readonly maxFragments: number
}

/** Where a Sender writes to: a header, or within cork and uncork a header and what it is for. */
export interface FrameTarget {
  readonly destroyed: boolean
  cork(): void
  write(bytes: Buffer | string, done?: SendDone): void
  uncork(): void
}

export type SendDone = (error?: Error) => void

export interface SendSettings {
  readonly binary: boolean
  readonly compress: boolean
  /** Whether this ends the message. */
  readonly fin: boolean
  readonly mask: boolean
}

/** Writes frames, in order, also when some have to be compressed first. */
export interface Sender {
  send(data: Uint8Array | string, settings: SendSettings, done?: SendDone): void
  ping(data: Uint8Array, mask: boolean, done?: SendDone): void
  pong(data: Uint8Array, mask: boolean, done?: SendDone): void
  close(code: number | undefined, reason: string, mask: boolean, done?: SendDone): void
}

interface WsFrames {
  readonly PerMessageDeflate: new (settings: PerMessageDeflateSettings) => PerMessageDeflate
  readonly Receiver: new (settings: ReceiverSettings) => Receiver
  readonly Sender: new (target: FrameTarget, extensions: Extensions) => Sender
  readonly extension: {
    /** @throws {SyntaxError} */
    readonly parse: (this: void, text: string) => Record<string, RawExtensionParams[]>
    readonly format: (this: void, extensions: Record<string, ExtensionParams>) => string
  }
}

const frames = ws as unknown as WsFrames

export const PerMessageDeflate: WsFrames['PerMessageDeflate'] = frames.PerMessageDeflate
export const Receiver: WsFrames['Receiver'] = frames.Receiver
export const Sender: WsFrames['Sender'] = frames.Sender
export const parseExtensions: WsFrames['extension']['parse'] = frames.extension.parse
export const formatExtensions: WsFrames['extension']['format'] = frames.extension.format

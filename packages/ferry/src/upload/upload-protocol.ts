/**
 * How one upload is spoken of with one server: the port that IndexedCP, tus and the IETF's draft
 * fulfil, and what they work with. Retries, waits, pauses and their order are the business of
 * upload-run.ts; a protocol fails, is asked to recover, and goes on.
 *
 * Invariant: `held` has nothing but bytes that the server has acknowledged of this very source.
 */
import type { Span, SpanSet } from '../transfer/span.ts'
import type { HttpUrl } from '../transport/http-url.ts'
import type { CreateHash } from './source-digest.ts'
import type { UploadHttp } from './upload-http.ts'
import type { UploadSource } from './upload-source.ts'

/** indexedcp: chunks to `POST …/upload` · tus: tus 1.0.0 · ietf: draft-ietf-httpbis-resumable-upload */
export type UploadProtocolName = 'indexedcp' | 'tus' | 'ietf'

/** What a later run needs to go on, as JSON takes it. */
export interface UploadNote {
  readonly protocol: UploadProtocolName
  /** The URL that the upload was begun with. */
  readonly endpoint: string
  readonly fingerprint: string | undefined
  /** Undefined when it was not known. */
  readonly size: number | undefined
  /** The protocol's own: URLs, ids, what was on its way. */
  readonly state: NoteState
}

/** What a protocol notes of itself. */
export type NoteState = Readonly<Record<string, unknown>>

/** One upload, and what it is sent with. All of it belongs to the caller. */
export interface UploadJob {
  readonly endpoint: HttpUrl
  readonly source: UploadSource
  readonly http: UploadHttp
  readonly createHash: CreateHash
  readonly settings: ProtocolSettings
  /** What an earlier run has noted of the same source and endpoint. */
  readonly saved: NoteState | undefined
  /** Keeps a note for a later run, in place of the last; resolves when a crash cannot undo it. */
  readonly keep: (state: NoteState) => Promise<void>
  readonly tell: (event: ProtocolEvent) => void
}

/** What a protocol goes by. */
export interface ProtocolSettings {
  /** The most bytes of one request; undefined for what the protocol does best. */
  readonly chunkBytes: number | undefined
  /** Requests at once, where the server can take them; undefined for what the protocol does best. */
  readonly parallel: number | undefined
  /** Digests go with the content, where the server checks them. */
  readonly checksum: boolean
  /** Content goes with the request that creates the upload. */
  readonly createWithContent: boolean
  /** What to do where nobody can tell whether the server has a piece. */
  readonly onDoubt: 'stop' | 'resend'
  /** Version of the IETF's draft that is spoken. */
  readonly interopVersion: number
  /** What the server is told beside the name, where the protocol can. */
  readonly metadata: Readonly<Record<string, string>>
}

/** What users of an upload may like to know. */
export type ProtocolEvent =
  /** The server cannot tell what it has: an answer that is lost leaves the upload in doubt. */
  | { readonly type: 'no-status' }
  /** A piece is sent again although the server may have it: the file there may have it twice. */
  | { readonly type: 'doubt'; readonly span: Span }
  /** The server has fewer bytes than it had acknowledged; they are sent again. */
  | { readonly type: 'rewound'; readonly from: number; readonly to: number }

/** A piece to be sent. */
export interface Piece extends Span {
  /** The source ends with it. */
  readonly isLast: boolean
}

/** How a piece is sent. */
export interface SendPieceOptions {
  readonly signal: AbortSignal
  /** Told of bytes that were handed to the system. */
  readonly onSent: (bytes: number) => void
}

/** What the server made of the upload. */
export interface RemoteFile {
  /** What it is called there; undefined when the server does not say. */
  readonly name: string | undefined
  /** Of the upload; undefined where uploads have none. */
  readonly url: string | undefined
}

/** One upload at one server. Every call may be made again after it has failed. */
export interface UploadProtocol {
  readonly name: UploadProtocolName
  /** Acknowledged bytes. */
  readonly held: SpanSet
  /** When the server may give up what it has, in epoch ms; undefined when it does not say. */
  readonly expiresAt: number | undefined
  /** How many pieces may be on their way at once. */
  readonly lanes: number
  /** False when a piece that is on its way must not be given up without need. */
  readonly isInterruptible: boolean
  /** Asks what the server has of an upload that was begun, or begins one. Throws {UploadGone}. */
  open(signal: AbortSignal): Promise<void>
  /**
   * What to send next beside the spans that are `busy`; undefined when nothing (more) can be sent
   * now. An empty span tells that the end itself has to be sent.
   */
  next(busy: readonly Span[]): Span | undefined
  /**
   * Sends a piece, all of a span that `next()` gave or the beginning of it. Throws
   * {HttpStatusError}, other {NetworkError}s, {UploadGone}, and what the source throws.
   */
  send(piece: Piece, options: SendPieceOptions): Promise<void>
  /** After a piece has failed: finds out where the server stands with it. */
  recover(span: Span, failure: unknown, signal: AbortSignal): Promise<void>
  /** When everything is acknowledged: makes it a file, where that takes a request. */
  finish(signal: AbortSignal): Promise<RemoteFile>
  /** Gives the upload up at the server, where there is a way. */
  terminate(signal: AbortSignal): Promise<void>
}

/** The server does not know an upload (any more) that it had begun: it has to begin anew. */
export class UploadGone extends Error {}

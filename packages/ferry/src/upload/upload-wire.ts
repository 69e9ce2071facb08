/**
 * What carries one request of an upload to its server and brings the answer: the port that a client of
 * Node and the XMLHttpRequest of a browser fulfil. Knows neither credentials nor protocols.
 */
import { StreamError } from '../errors.ts'
import type { HeaderFields } from '../protocol/semantics/header-fields.ts'
import type { ResponseHead } from '../protocol/semantics/response-head.ts'
import type { Content } from '../transport/content.ts'
import type { HttpUrl } from '../transport/http-url.ts'

/** One request, with all its fields. */
export interface WireRequest {
  readonly method: string
  readonly url: HttpUrl
  readonly headers: HeaderFields
  readonly content: Content | undefined
  readonly signal: AbortSignal
  /** Told of bytes as they are handed on; never of more than the content has. */
  readonly onSent: (bytes: number) => void
  /** Told as soon as any answer begins to come. */
  readonly onReached: () => void
  /** Told of 1xx answers, where they can be seen. */
  readonly onInformation: ((head: ResponseHead) => void) | undefined
}

/** An answer, read to its end. */
export interface UploadAnswer {
  readonly status: number
  readonly statusText: string
  readonly headers: HeaderFields
  /** Where it came from, after redirections. */
  readonly url: HttpUrl
  /** Its content; empty when that is longer than any answer of these protocols. */
  readonly text: string
}

/** Carries requests; several at a time. Whoever made what it works with closes that. */
export interface UploadWire {
  /** Whether `onSent` is told of every byte before the server can have it. */
  readonly countsSent: boolean
  /** The most content that a request should have where the protocol can do with less: bytes. */
  readonly maxContentBytes: number
  /**
   * Sends a request, follows redirections that keep it, and reads the answer, whatever its status.
   * @throws {NetworkError}, {UnansweredError} among them, `signal.reason`, and what the content throws
   */
  send(request: WireRequest): Promise<UploadAnswer>
}

/**
 * No answer has come, and what carries requests cannot tell why: the server may not have been reached,
 * or may have had all of it.
 */
export class UnansweredError extends StreamError {}

/** The most of an answer that is read. */
export const MAX_ANSWER_BYTES = 65_536
/** How long the server may take nothing, unless somebody says otherwise, in ms. */
export const DEFAULT_STALL_TIMEOUT_MS = 60_000
/** A server may hold a digest against all that has come before it answers. */
export const DEFAULT_ANSWER_TIMEOUT_MS = 300_000

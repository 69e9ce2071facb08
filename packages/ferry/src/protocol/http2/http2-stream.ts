/**
 * One stream: its state, its windows, and what waits to be sent on it. Only keeps the books;
 * `client-session.ts` decides.
 */
import type { HeaderFields } from '../semantics/header-fields.ts'
import type { ResponseHead } from '../semantics/response-head.ts'
import type { StreamFault } from './error-code.ts'
import { nextStreamState, type StreamState, type StreamStep } from './stream-states.ts'

/** How a stream ended before its response was whole. */
export type StreamFailure =
  /** The peer ended it, for the reason that the code names. */
  | { readonly type: 'reset'; readonly code: number }
  /** The peer says that it has done nothing with the request (RFC 9113 §8.7). */
  | { readonly type: 'unprocessed'; readonly code: number }
  /** The peer broke the rules; we have ended it. */
  | { readonly type: 'fault'; readonly fault: StreamFault }

/** Takes the response of one stream. Exactly one of `onEnd` and `onFailure` comes, once, last. */
export interface StreamHandler {
  readonly method: string
  onInformation(head: ResponseHead): void
  /** `length` is that of the content in bytes, undefined when unknown. */
  onHead(head: ResponseHead, length: number | undefined): void
  /** `bytes[start]` up to `bytes[end]`; each is to be given back by `consume()` some time. */
  onContent(bytes: Buffer, start: number, end: number): void
  onEnd(trailers: HeaderFields): void
  onFailure(failure: StreamFailure): void
  /** So much of the request's content is in frames. */
  onContentFramed?(): void
  /** The request is in frames to its end. */
  onSent?(): void
  /** The response is whole, and the peer wants no more of the request. */
  onSendingRefused(): void
}

/** Content that waits for windows and for room on the wire. */
export interface QueuedContent {
  bytes: Uint8Array
  /** Is told how many bytes are copied, or will never be needed; all of them in the end. */
  readonly onTaken: ((bytes: number) => void) | undefined
}

/** Where the response of a stream stands. */
export type ResponsePart = 'head' | 'content' | 'tunnel' | 'ended'

/** A stream of a client. */
export class Http2Stream {
  readonly id: number
  /** Another takes over when the stream becomes a tunnel. */
  handler: StreamHandler
  state: StreamState = 'open'
  part: ResponsePart = 'head'
  /** What we may send; below 0 after the peer has made its windows smaller (§6.9.2). */
  sendWindow: number
  /** What the peer may send. */
  receiveWindow: number
  /** How wide `receiveWindow` is opened. */
  windowTarget: number
  /** Content that was taken and not given back to the peer. */
  consumedBytes = 0
  /** Content had to be held for a slow reader since the window was opened last. */
  heldBack = false
  /** What is announced and has not come; undefined when nothing is announced. */
  remainingBytes: number | undefined
  informationResponses = 0
  readonly queue: QueuedContent[] = []
  /** Trailers that end the request behind the queue; undefined while more may follow. */
  trailers: HeaderFields | undefined
  /** No more is sent although the request is not whole. */
  sendingStopped = false

  constructor(
    id: number,
    handler: StreamHandler,
    windows: { readonly send: number; readonly receive: number },
  ) {
    this.id = id
    this.handler = handler
    this.sendWindow = windows.send
    this.receiveWindow = windows.receive
    this.windowTarget = windows.receive
  }

  get maySend(): boolean {
    return this.state === 'open' || this.state === 'half-closed-remote'
  }

  /** Whether the peer may still send. */
  get mayReceive(): boolean {
    return this.state === 'open' || this.state === 'half-closed-local'
  }

  /** @returns the new state */
  step(step: StreamStep): StreamState {
    this.state = nextStreamState(this.state, step)
    return this.state
  }
}

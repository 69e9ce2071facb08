/**
 * The sending half of a WebSocket: messages one after the other, control frames between them.
 *
 * Owns the order (a message in many frames holds back those after it), what waits for the stream to
 * take bytes, and the one pong that may be under way. Knows nothing of the state of the connection:
 * whoever owns it calls `stop()` when no message may follow and `fail()` when nothing can.
 */
import type { NetworkStream } from '../../net/network-backend.ts'
import { MaskingTarget } from './masking-target.ts'
import type { MessageDeflate } from './message-deflate.ts'
import { isPiece, type MessageInit, type MessagePiece, PieceReader } from './piece-reader.ts'
import { Sender } from './ws-frames.ts'

export interface SendOptions {
  /** @defaultValue whether the message has `threshold` bytes or more; true for an iterable */
  readonly compress?: boolean | undefined
  /** Gives up waiting; what was handed on already may still arrive. */
  readonly signal?: AbortSignal | undefined
}

interface SenderSettings {
  readonly deflate: MessageDeflate | undefined
  readonly compressThreshold: number
  /** A message was begun and cannot be ended. */
  readonly onBroken: (error: Error) => void
}

interface Waiter {
  readonly waitsFor: 'turn' | 'stream'
  readonly settle: (error?: Error) => void
}

// As much may be under way without anybody waiting for it: what a system's own buffer holds too.
const MAX_UNDER_WAY_BYTES = 65_536
const DONE: Promise<void> = Promise.resolve()

/** Sends on one stream; `fail()` it before the stream is closed. */
export class MessageSender {
  readonly #target: MaskingTarget
  readonly #sender: Sender
  readonly #settings: SenderSettings
  readonly #waiters = new Set<Waiter>()
  /** Messages that wait for compression: for their own, or for one before them. */
  #queued = 0
  #queuedBytes = 0
  /** Settles when the last of those who wait for their turn is through; undefined while nobody does. */
  #turn: Promise<void> | undefined
  #failure: Error | undefined
  #sendsPong = false
  #nextPong: Buffer | undefined

  constructor(stream: NetworkStream, settings: SenderSettings) {
    this.#target = new MaskingTarget(stream)
    this.#settings = settings
    const { deflate } = settings
    this.#sender = new Sender(
      this.#target,
      deflate === undefined ? {} : { 'permessage-deflate': deflate },
    )
  }

  /** Bytes of messages and frames that are not yet with the system. */
  get bufferedBytes(): number {
    return this.#target.pendingBytes + this.#queuedBytes
  }

  /** See `WebSocketChannel.send`. */
  send(message: MessageInit, options: SendOptions): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const { signal } = options
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error)
    if (isPiece(message)) {
      if (this.#turn === undefined) return this.#sendWhole(message, options)
      return this.#inTurn(signal, () => this.#sendWhole(message, options))
    }
    if (!isIterable(message)) {
      return Promise.reject(
        new TypeError('Cannot send the message: expected text, bytes or an iterable of them'),
      )
    }
    return this.#inTurn(signal, () => this.#sendPieces(message, options))
  }

  ping(payload: Uint8Array): void {
    this.#sender.ping(payload, false)
  }

  /** Answers a ping. While one answer is under way only the last ping is remembered (§5.5.3). */
  pong(payload: Buffer): void {
    if (this.#sendsPong) {
      this.#nextPong = Buffer.from(payload)
      return
    }
    this.#sendsPong = true
    this.#sender.pong(payload, false, () => {
      this.#sendsPong = false
      const next = this.#nextPong
      this.#nextPong = undefined
      if (next !== undefined && !this.#target.destroyed) this.pong(next)
    })
  }

  /** Sends a Close frame behind the messages that were handed on, and calls when it is out. */
  close(code: number | undefined, reason: string, onSent: () => void = () => {}): void {
    this.#sender.close(code, reason, false, onSent)
    // The stream may be closed in this very turn.
    this.#target.flush()
  }

  /** Takes no further message; one in the middle of its pieces is broken off. */
  stop(error: Error): void {
    this.#failure ??= error
    for (const { waitsFor, settle } of [...this.#waiters]) if (waitsFor === 'turn') settle(error)
  }

  /** Fails all that waits; nothing is written any more. */
  fail(error: Error): void {
    this.#failure ??= error
    this.#target.destroy()
    for (const { settle } of [...this.#waiters]) settle(error)
  }

  #sendWhole(message: MessagePiece, { compress, signal }: SendOptions): Promise<void> {
    return this.#sendFrame(message, {
      binary: typeof message !== 'string',
      compress: this.#compresses(message, compress),
      fin: true,
      signal,
    })
  }

  #compresses(message: MessagePiece, wanted: boolean | undefined): boolean {
    const { deflate, compressThreshold } = this.#settings
    if (deflate === undefined) return false
    return wanted ?? Buffer.byteLength(message) >= compressThreshold
  }

  #sendFrame(
    piece: MessagePiece,
    frame: {
      readonly binary: boolean
      readonly compress: boolean
      readonly fin: boolean
      readonly signal: AbortSignal | undefined
    },
  ): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const { binary, compress, fin, signal } = frame
    const settings = { binary, compress, fin, mask: false }
    if (!compress && this.#queued === 0) {
      this.#sender.send(piece, settings)
      if (this.#target.pendingBytes <= MAX_UNDER_WAY_BYTES) return DONE
      return this.#wait('stream', signal, (settle) => this.#target.onFlushed(settle))
    }
    const length = Buffer.byteLength(piece)
    this.#queued++
    this.#queuedBytes += length
    return this.#wait('stream', signal, (settle) => {
      this.#sender.send(piece, settings, () => {
        this.#queued--
        this.#queuedBytes -= length
        settle()
      })
    })
  }

  /** RFC 6455 §5.4: the first frame names the type, the last, empty here, ends the message. */
  async #sendPieces(
    source: Iterable<MessagePiece> | AsyncIterable<MessagePiece>,
    { compress = true, signal }: SendOptions,
  ): Promise<void> {
    const reader = new PieceReader(source)
    const compresses = compress && this.#settings.deflate !== undefined
    let begun = false
    const sendNext = (piece: MessagePiece, fin: boolean): Promise<void> => {
      begun = true
      const { binary } = reader
      return this.#sendFrame(piece, { binary, compress: compresses, fin, signal })
    }
    try {
      for (;;) {
        let piece: MessagePiece | undefined
        await this.#wait('turn', signal, (settle) => {
          void reader.next().then((read) => {
            piece = read
            settle()
          }, settle)
        })
        if (piece === undefined) break
        await sendNext(piece, false)
      }
      await sendNext(reader.rest(), true)
    } catch (error) {
      reader.close()
      if (begun && this.#failure === undefined) this.#settings.onBroken(error as Error)
      throw error
    }
  }

  /** Runs `task` when all before it are through. */
  async #inTurn(signal: AbortSignal | undefined, task: () => Promise<void>): Promise<void> {
    const before = this.#turn ?? DONE
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#turn = promise
    try {
      await this.#wait('turn', signal, (settle) => void before.then(() => settle()))
      await task()
    } finally {
      // Whoever gives up waiting lets nobody overtake those before him.
      void before.then(() => {
        if (this.#turn === promise) this.#turn = undefined
        resolve()
      })
    }
  }

  #wait(
    waitsFor: Waiter['waitsFor'],
    signal: AbortSignal | undefined,
    start: (settle: (error?: Error) => void) => void,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => waiter.settle(signal?.reason as Error)
      const waiter: Waiter = {
        waitsFor,
        settle: (error) => {
          this.#waiters.delete(waiter)
          signal?.removeEventListener('abort', onAbort)
          if (error === undefined) resolve()
          else reject(error)
        },
      }
      if (signal?.aborted === true) {
        reject(signal.reason as Error)
        return
      }
      this.#waiters.add(waiter)
      signal?.addEventListener('abort', onAbort, { once: true })
      start(waiter.settle)
    })
  }
}

function isIterable(message: object): boolean {
  return Symbol.asyncIterator in message || Symbol.iterator in message
}

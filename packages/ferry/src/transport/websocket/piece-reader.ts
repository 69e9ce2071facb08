/** What a message can be made of, and the reading of one that comes in pieces. */

/** A part of a message: all parts of one message are text, or all are bytes. */
export type MessagePiece = string | Uint8Array

/** What can be sent as one message; an iterable goes out as it comes, each piece in a frame. */
export type MessageInit = MessagePiece | Iterable<MessagePiece> | AsyncIterable<MessagePiece>

/** Reads the pieces of one message and sees that they are all of one type. */
export class PieceReader {
  readonly #iterator: Iterator<MessagePiece> | AsyncIterator<MessagePiece>
  #binary: boolean | undefined
  /** The first half of a character whose second half is in the next piece. */
  #half = ''

  constructor(source: Iterable<MessagePiece> | AsyncIterable<MessagePiece>) {
    this.#iterator =
      Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  }

  /** Without a piece the message is an empty one of bytes. */
  get binary(): boolean {
    return this.#binary ?? true
  }

  /** Gives the next piece; undefined after the last. */
  async next(): Promise<MessagePiece | undefined> {
    const step = await this.#iterator.next()
    if (step.done === true) return undefined
    const piece = step.value
    this.#binary ??= typeof piece !== 'string'
    if (!isPiece(piece) || this.#binary !== (typeof piece !== 'string')) {
      throw new TypeError('Cannot send the message: expected pieces of text only, or of bytes only')
    }
    return typeof piece === 'string' ? this.#takeText(piece) : piece
  }

  /** What is left to send after the last piece. */
  rest(): MessagePiece {
    return this.binary ? EMPTY : this.#half
  }

  /** Tells the source that no more is wanted, without waiting for it. */
  close(): void {
    try {
      void Promise.resolve(this.#iterator.return?.()).catch(() => {})
    } catch {
      // The message has failed already; what the source says to that changes nothing.
    }
  }

  #takeText(piece: string): string {
    const text = this.#half + piece
    const last = text.charCodeAt(text.length - 1)
    const isHalf = last >= 0xd800 && last <= 0xdbff
    this.#half = isHalf ? text.slice(-1) : ''
    return isHalf ? text.slice(0, -1) : text
  }
}

const EMPTY = new Uint8Array()

/** Tells whether a value is text or bytes. */
export function isPiece(message: unknown): message is MessagePiece {
  return typeof message === 'string' || message instanceof Uint8Array
}

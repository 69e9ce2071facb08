/**
 * From the bytes of one response to events: UTF-8, then the package eventsource-parser.
 *
 * Owns what the package leaves to its caller: characters cut between two pieces, the byte order
 * mark, a limit for an event. The same bytes in other pieces give the same events. Knows no
 * connection; one decoder serves one response (HTML §9.2.5, §9.2.6).
 */
import { createParser, type EventSourceParser } from 'eventsource-parser'

/** Who is told what the bytes mean, in their order. */
export interface EventDecoderOptions {
  /** How large an event may become, in characters; see `maxEventBytes`. */
  readonly maxEventBytes: number
  /** A whole event; `type` is undefined when the stream gave none. Called after `onId`. */
  readonly onEvent: (type: string | undefined, data: string) => void
  /** A block that had an id is whole, whether or not it had data too. */
  readonly onId: (id: string) => void
  /** The server asks for another wait before reconnecting, in ms. */
  readonly onRetry: (retryMs: number) => void
  /** Without it comments are skipped unread. */
  readonly onComment: ((text: string) => void) | undefined
  /** An event is larger than `maxEventBytes`; nothing more may be pushed. */
  readonly onTooLarge: () => void
}

/** Turns bytes into events. */
export class EventDecoder {
  readonly #parser: EventSourceParser
  // HTML §9.2.5: always UTF-8, whatever charset the response names. Strips one byte order mark, and
  // makes U+FFFD of what is no UTF-8.
  readonly #text = new TextDecoder('utf-8')

  constructor(options: EventDecoderOptions) {
    const { maxEventBytes, onEvent, onTooLarge } = options
    this.#parser = createParser({
      maxBufferSize: maxEventBytes,
      onEvent: ({ event, data }) => {
        // One that came in a single piece was never held, so the parser has not measured it.
        if (data.length > maxEventBytes) onTooLarge()
        else onEvent(event, data)
      },
      onId: options.onId,
      onRetry: options.onRetry,
      onComment: options.onComment,
      onError: ({ type }) => {
        // HTML §9.2.6: fields that are unknown or cannot be read are ignored.
        if (type === 'max-buffer-size-exceeded') onTooLarge()
      },
    })
    // An empty line means nothing, and ends the parser's own search for a mark: it would strip a
    // second one, and the characters U+00EF U+00BB U+00BF too, which HTML §9.2.5 does not.
    this.#parser.feed('\n')
  }

  /** Reads a piece; its memory is free again when this returns. */
  push(bytes: Buffer): void {
    this.#parser.feed(this.#text.decode(bytes, { stream: true }))
  }
}

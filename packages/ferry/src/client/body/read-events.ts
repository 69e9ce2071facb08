/** Server-sent events of one response (HTML §9.2), without the reconnecting of `eventSource()`. */
import { RemoteProtocolError } from '../../errors.ts'
import { EventDecoder } from '../../transport/event-source/event-decoder.ts'
import type { ServerEvent } from '../../transport/event-source/event-queue.ts'

/** Settings of reading events. */
export interface ReadEventsOptions {
  /** How large an event may be, in characters. @defaultValue 16 MiB */
  readonly maxEventBytes?: number | undefined
  /** The id to begin with, for events that have none. @defaultValue '' */
  readonly lastEventId?: string | undefined
  /** Is told what wait the server wants before the next request, in ms. */
  readonly onRetry?: ((retryMs: number) => void) | undefined
  /** Is told of comments, which servers send to keep a connection alive. */
  readonly onComment?: ((text: string) => void) | undefined
  /** Whose content it is, for messages. @defaultValue `the response` */
  readonly what?: string | undefined
}

// The default of `eventSource()`.
const DEFAULT_MAX_EVENT_BYTES = 16_777_216

/**
 * Gives the events of a response, as of the answer to a POST. Content-Type is not looked at. An event
 * that the end of the content cuts is not given (HTML §9.2.6).
 *
 * Leaving the iteration gives up the rest of the body.
 * @throws {RemoteProtocolError} when an event is too large; else what reading the body throws
 * @example
 * for await (const { type, data } of readEvents(response.body)) console.log(type, data)
 */
export async function* readEvents(
  body: AsyncIterable<Uint8Array>,
  options: ReadEventsOptions = {},
): AsyncGenerator<ServerEvent, void> {
  const { maxEventBytes = DEFAULT_MAX_EVENT_BYTES, what = 'the response' } = options
  const events: ServerEvent[] = []
  let lastEventId = options.lastEventId ?? ''
  let isTooLarge = false
  const decoder = new EventDecoder({
    maxEventBytes,
    onEvent: (type = 'message', data) => {
      if (!isTooLarge) events.push({ type, data, lastEventId })
    },
    onId: (id) => (lastEventId = id),
    onRetry: (retryMs) => options.onRetry?.(retryMs),
    onComment: options.onComment,
    onTooLarge: () => (isTooLarge = true),
  })
  for await (const bytes of body) {
    decoder.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
    yield* events.splice(0)
    if (isTooLarge) {
      throw new RemoteProtocolError(
        `Cannot read the events of ${what}: one is larger than ${maxEventBytes} characters`,
      )
    }
  }
}

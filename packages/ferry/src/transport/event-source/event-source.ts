/** Subscribes to server-sent events over a pool (HTML §9.2). */
import type { HttpRequest } from '../http-request.ts'
import type { HttpUrl } from '../http-url.ts'
import { createEventRequest, withLastEventId } from './event-request.ts'
import { type EventSourceOptions, resolveEventSourceOptions } from './event-source-options.ts'
import { EventSubscription } from './event-subscription.ts'

/**
 * Subscribes to the events of a URL, and connects at once. A response that ends or breaks is followed
 * by another request that says which event was the last; see `reconnect` for methods such as POST.
 *
 * Whoever calls it closes it: by leaving a `for await` over it, `close()`, `await using`, or the
 * signal. The pool stays open.
 *
 * @throws {ConfigError} {LocalProtocolError} when an option cannot be used or the request not be sent
 *
 * @example
 * await using pool = new ConnectionPool()
 * for await (const { type, data } of eventSource('https://example.org/news', { pool })) {
 *   console.log(type, data)
 * }
 */
export function eventSource(
  target: string | URL | HttpUrl | HttpRequest,
  options: EventSourceOptions,
): EventSubscription {
  const request = createEventRequest(target, options)
  const { lastEventId = '' } = options
  // Shows a mistake where it was made.
  withLastEventId(request, lastEventId)
  const settings = resolveEventSourceOptions(options, request)
  const subscription = new EventSubscription(request, lastEventId, settings)
  subscription.start()
  return subscription
}

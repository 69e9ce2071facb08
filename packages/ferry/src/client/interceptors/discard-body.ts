/** Gives the connection of a response back that nobody wants. */
import { type Clock, systemClock } from '../../clock.ts'
import type { HttpResponse } from '../../transport/http-response.ts'

// A body shorter than this is read to its end, which keeps the connection.
const MAX_DRAIN_BYTES = 65_536
// A new connection costs about as much as a round trip or two; waiting longer gains nothing.
const MAX_DRAIN_MS = 250

/** Reads a short body to its end and gives up one that is long, or slow. Never fails. */
export async function discardBody(
  { body }: HttpResponse,
  clock: Clock = systemClock,
): Promise<void> {
  if (body.used) return
  if (body.length !== undefined && body.length > MAX_DRAIN_BYTES) {
    body.cancel()
    return
  }
  const cancelTimer = clock.after(MAX_DRAIN_MS, () => body.cancel(), { background: true })
  await body.bytes(MAX_DRAIN_BYTES).catch(() => {})
  cancelTimer()
}

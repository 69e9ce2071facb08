/** Gives the connection of a response back that nobody wants: interceptors that send again need it. */
import type { HttpResponse } from '../../transport/http-response.ts'

// A body shorter than this is read to its end, which keeps the connection.
const MAX_DRAIN_BYTES = 65_536

/** Reads a short body to its end and gives up a long one. Never fails. */
export async function discardBody({ body }: HttpResponse): Promise<void> {
  if (body.used) return
  if ((body.length ?? Number.POSITIVE_INFINITY) > MAX_DRAIN_BYTES) body.cancel()
  else await body.bytes(MAX_DRAIN_BYTES).catch(() => {})
}

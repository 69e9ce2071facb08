/** Tells how far the content of a response has been taken. */
import type { StreamProgress } from '../../transport/request-stream.ts'
import type { ResponseBody } from '../../transport/response-body.ts'
import { createResponseStream } from '../../transport/response-stream.ts'

/**
 * Gives a body with the same content, that reports its progress: as the reader gets it, so after
 * decoding. The total is that of Content-Length, and undefined for content that was encoded, whose
 * length nobody knows. What `onProgress` throws ends the body.
 */
export function withDownloadProgress(
  body: ResponseBody,
  onProgress: (progress: StreamProgress) => void,
): ResponseBody {
  return createResponseStream(body, { onProgress })
}

/** Tells how far the content of a request has been sent. */
import type { Content, StreamedContent } from '../../transport/content.ts'
import { createRequestStream, type StreamProgress } from '../../transport/request-stream.ts'

/**
 * Gives the same content, of the same length and as often, that reports its progress: when a piece
 * has been handed on, which is shortly before the system has it. Each attempt begins at 0 again.
 * What `onProgress` throws ends the request.
 */
export function withUploadProgress(
  content: Content,
  onProgress: (progress: StreamProgress) => void,
): StreamedContent {
  // Content that is sent chunked although its length is known stays so.
  const chunked = content.length === undefined
  return createRequestStream(content, { chunked, onProgress })
}

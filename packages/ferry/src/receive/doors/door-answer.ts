/** Sends answers, also while the content of the request is still coming. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants } from 'node:http2'
import { systemClock } from '../../clock.ts'
import { http2StreamOf } from './http2-exchange.ts'

/** A response that is known as a whole. */
export interface DoorAnswer {
  readonly status: number
  readonly reason?: string
  readonly fields: Readonly<Record<string, string | undefined>>
  readonly body?: string
}

// What a client may still send after an answer that it has not read yet.
const MAX_DISCARDED_BYTES = 4_194_304
const MAX_DISCARD_MS = 5000

/** Whether a request has content; it may turn out to be empty. */
export function hasContent(request: IncomingMessage): boolean {
  return contentLength(request) !== 0
}

/** The media type of its content in lower case, without parameters. */
export function mediaTypeOf({ headers }: Pick<IncomingMessage, 'headers'>): string | undefined {
  return headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase()
}

/** The bytes of its content that a request announces; undefined when it does not tell. */
export function contentLength(request: IncomingMessage): number | undefined {
  const { headers } = request
  if (headers['transfer-encoding'] !== undefined) return undefined
  const length = headers['content-length']
  if (length !== undefined) return Number(length)
  // HTTP/2 has an end without a length.
  const stream = http2StreamOf(request)
  return stream === undefined || stream.endAfterHeaders ? 0 : undefined
}

/**
 * Sends an answer. A client that still sends gets it all the same: what comes is dropped for a while,
 * and then the connection closed, or over HTTP/2 the stream.
 */
export async function sendAnswer(
  request: IncomingMessage,
  response: ServerResponse,
  answer: DoorAnswer,
): Promise<void> {
  const { status, reason, body = '' } = answer
  const stream = http2StreamOf(response)
  if (response.destroyed || stream?.destroyed === true) return
  const isUnread = hasContent(request) && !request.complete
  const fields = Object.entries(answer.fields).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  )
  response.statusCode = status
  if (reason !== undefined && stream === undefined) response.statusMessage = reason
  for (const [name, value] of fields) response.setHeader(name, value)
  // RFC 9110 §8.6: none with 204.
  if (status !== 204) response.setHeader('Content-Length', Buffer.byteLength(body))
  if (!isUnread) {
    response.end(body)
    return
  }
  if (stream === undefined) response.setHeader('Connection', 'close')
  response.flushHeaders()
  if (body !== '') response.write(body)
  await discardContent(request)
  response.end()
  // RFC 9113 §8.1: what is still sent is not wanted; other streams go on.
  stream?.close(constants.NGHTTP2_NO_ERROR)
}

/** Resolves when nothing more comes, or enough has come. */
function discardContent(request: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let left = MAX_DISCARDED_BYTES
    const finish = (): void => {
      cancel()
      request.pause()
      resolve()
    }
    const cancel = systemClock.after(MAX_DISCARD_MS, finish, { background: true })
    request.once('end', finish).once('close', finish)
    request.on('data', (chunk: Uint8Array) => {
      left -= chunk.length
      if (left < 0) finish()
    })
    request.resume()
  })
}

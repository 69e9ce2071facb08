/** Answers with a short content, also before the request has come to its end. */
import type { IncomingMessage, ServerResponse } from 'node:http'

// What a client may still send before it looks at the answer: a chunk and a bit.
const DRAIN_BYTES = 16_777_216
const DRAIN_MS = 5000

/** A short answer. */
export interface ShortAnswer {
  readonly status: number
  readonly fields?: Readonly<Record<string, string>>
  readonly content?: string
}

/**
 * Sends an answer. What is left of the request is dropped; when that is much, the connection is
 * closed, but not before the client had time to read the answer.
 */
export async function sendAnswer(
  request: IncomingMessage,
  response: ServerResponse,
  answer: ShortAnswer,
): Promise<void> {
  const { status, fields = {}, content = '' } = answer
  if (response.headersSent || response.destroyed) return
  const isRead = request.complete || !hasContent(request)
  response.writeHead(status, {
    ...fields,
    'Content-Length': String(Buffer.byteLength(content)),
    ...(isRead ? {} : { Connection: 'close' }),
  })
  if (isRead || request.method === 'HEAD') {
    response.end(request.method === 'HEAD' ? undefined : content)
    return
  }
  // The end of the response would close the connection under a client that still sends.
  response.write(content)
  await drain(request)
  response.end()
}

/** Sends a value as JSON. */
export function sendJson(
  request: IncomingMessage,
  response: ServerResponse,
  answer: { readonly status: number; readonly fields?: Readonly<Record<string, string>> },
  value: unknown,
): Promise<void> {
  return sendAnswer(request, response, {
    status: answer.status,
    fields: { 'Content-Type': 'application/json', ...answer.fields },
    content: JSON.stringify(value),
  })
}

/** RFC 9112 §6.3. */
function hasContent({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

function drain(request: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let bytes = 0
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length
      if (bytes > DRAIN_BYTES) finish()
    }
    const finish = (): void => {
      clearTimeout(timer)
      request.off('data', onData)
      resolve()
    }
    const timer = setTimeout(finish, DRAIN_MS)
    request.on('error', finish)
    request.on('end', finish)
    request.on('close', finish)
    request.on('data', onData)
    request.resume()
  })
}

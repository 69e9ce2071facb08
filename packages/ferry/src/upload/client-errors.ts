/** What a server has refused, in the words that it gives for that. Pure. */
import { HttpStatusError } from '../errors.ts'
import { readServerWords } from '../protocol/upload/server-words.ts'

/**
 * An answer of the server with its own words behind its status, and with what helps where it wants
 * another key; every other error as it is.
 * @param secret does not get into the message, whatever the server says
 */
export function toClientError(error: unknown, secret: string | undefined): unknown {
  if (!(error instanceof HttpStatusError)) return error
  const { status, statusText, headers, excerpt } = error
  const words = readServerWords(excerpt ?? '')
  const isTelling = words !== undefined && (secret === undefined || !words.includes(secret))
  const advice = status === 401 ? '; check the API key' : ''
  return new HttpStatusError(`${error.message}${isTelling ? `: ${words}` : ''}${advice}`, {
    status,
    statusText,
    headers,
    excerpt,
  })
}

/** Why a request of the IndexedCP protocol is refused, as its clients are told. */
import { isFerryError } from '../../errors.ts'

/** Ends a request with a status and the JSON `{error, message}`; never leaves the door. */
export class Refusal extends Error {
  readonly status: number
  readonly title: string | undefined
  /** Seconds for Retry-After. */
  readonly retryAfter: number | undefined

  constructor(
    status: number,
    message: string,
    options: { readonly title?: string; readonly retryAfter?: number } = {},
  ) {
    super(message)
    this.status = status
    this.title = options.title
    this.retryAfter = options.retryAfter
  }
}

// Sentences of our own: those of the errors may name paths of the server.
const REFUSALS: Readonly<Record<string, readonly [status: number, message: string]>> = {
  'upload-not-found': [404, 'there is no such upload'],
  'upload-expired': [410, 'the upload has expired'],
  'upload-complete': [409, 'the upload is finished'],
  'upload-incomplete': [409, 'bytes are missing'],
  'upload-interrupted': [400, 'the chunk did not come whole'],
  'upload-too-large': [413, 'the file is too large'],
  'offset-mismatch': [409, 'another request has changed the upload meanwhile'],
  'length-mismatch': [409, 'the size does not fit to what was said before'],
  'content-mismatch': [409, 'other bytes were received in this place before'],
  'digest-mismatch': [400, 'the digest does not fit to what was received'],
  'digest-unsupported': [400, 'the algorithm of the digest is unknown'],
  'quota-exceeded': [403, 'the limit of uploads is reached'],
  'insufficient-storage': [507, 'there is not enough room'],
  'name-refused': [400, 'the name cannot be used'],
  'target-exists': [409, 'a file of that name exists'],
}

const INTERRUPTIONS: Readonly<Record<string, readonly [status: number, message: string]>> = {
  replaced: [409, 'a newer request has taken over'],
  slow: [408, 'the chunk came too slowly'],
  closed: [503, 'the server ends'],
}

/** What a client is told of an error; undefined for failures that are the server's own. */
export function toRefusal(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error
  if (!isFerryError(error)) return undefined
  const found = INTERRUPTIONS[String(error.detail['reason'])] ?? REFUSALS[error.code]
  return found === undefined ? undefined : new Refusal(...found)
}

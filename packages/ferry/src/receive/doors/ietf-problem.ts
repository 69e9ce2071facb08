/** What goes wrong at the door of the draft, as problem details (RFC 9457). Pure. */
import { STATUS_CODES } from 'node:http'
import { isFerryError } from '../../errors.ts'
import type { DoorAnswer } from './door-answer.ts'
import { Refusal, tellFailure } from './refusal.ts'

const TYPES = 'https://iana.org/assignments/http-problem-types#'

type Members = Readonly<Record<string, unknown>>

/** A refusal that has a problem type of the draft (§7). */
class Problem extends Refusal {
  readonly type: string
  readonly members: Members

  constructor(type: string, refusal: ConstructorParameters<typeof Refusal>, members: Members = {}) {
    super(...refusal)
    this.type = `${TYPES}${type}`
    this.members = members
  }
}

/** Draft §7.1. */
export function mismatchingOffset(expected: number, provided: number): Refusal {
  const message = `Cannot append at ${provided}: the upload stands at ${expected}`
  const fields = { 'Upload-Offset': String(expected) }
  const members = { 'expected-offset': expected, 'provided-offset': provided }
  return new Problem('mismatching-upload-offset', [409, message, fields], members)
}

/** Draft §7.2. */
export function completedUpload(): Refusal {
  return new Problem('completed-upload', [400, 'Cannot append: the upload is complete'])
}

/** Draft §7.3. */
export function inconsistentLength(): Refusal {
  const message = 'Cannot take the content: what is told of the length contradicts itself'
  return new Problem('inconsistent-upload-length', [400, message])
}

/** The answer to a request that has failed, with further fields. */
export function formatProblem(error: unknown, fields: DoorAnswer['fields']): DoorAnswer {
  const known = toProblem(error)
  const { status, message, fields: own } = tellFailure(known)
  const { type, members } = known instanceof Problem ? known : { type: undefined, members: {} }
  // RFC 9457 §3.1: no type is about:blank, and the title then that of the status.
  const body = { type, title: STATUS_CODES[status], status, detail: message, ...members }
  return {
    status,
    fields: { ...own, ...fields, 'Content-Type': 'application/problem+json' },
    body: JSON.stringify(body),
  }
}

/** The core sees the same as the door when requests overtake each other. */
function toProblem(error: unknown): unknown {
  if (isFerryError(error, 'offset-mismatch')) {
    const { expectedOffset, providedOffset } = error.detail
    return mismatchingOffset(Number(expectedOffset), Number(providedOffset))
  }
  return isFerryError(error, 'length-mismatch') ? inconsistentLength() : error
}

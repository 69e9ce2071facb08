/** What a client says when it could not send all that it was to send. */
import { type ErrorCode, FerryError, HttpStatusError, isFerryError } from '../errors.ts'

/** A file that could not be sent. */
export interface FailedFile {
  /** Under which it was added. */
  readonly name: string
  readonly error: unknown
}

/** What became of the files. */
export interface BufferedUploads {
  /** By the names that files were added under, those that the server has given them. */
  readonly sent: Readonly<Record<string, string>>
  /** They are still in the outbox. At least one. */
  readonly failures: readonly FailedFile[]
  /** Names of those that were not begun, since what has failed would fail with them, too. */
  readonly untried: readonly string[]
}

/**
 * Not all files were sent. Code and message are those of the first failure, which is the `cause`; of
 * an answer of the server `status` has the status.
 */
export class BufferedUploadError extends FerryError implements BufferedUploads {
  readonly sent: Readonly<Record<string, string>>
  readonly failures: readonly FailedFile[]
  readonly untried: readonly string[]
  /** Undefined when it was no answer of the server that failed first. */
  readonly status: number | undefined

  constructor({ sent, failures, untried }: BufferedUploads) {
    const cause = failures[0]?.error
    super(codeOf(cause), messageOf(cause, failures.length + untried.length - 1), {
      cause,
      detail: {
        sent: Object.keys(sent).length,
        failed: failures.length,
        untried: untried.length,
      },
    })
    this.sent = sent
    this.failures = failures
    this.untried = untried
    this.status = cause instanceof HttpStatusError ? cause.status : undefined
  }
}

/** What is none of ours was thrown by something that the caller has given, as credentials are. */
function codeOf(cause: unknown): ErrorCode {
  return isFerryError(cause) ? cause.code : 'config'
}

function messageOf(cause: unknown, others: number): string {
  const message = cause instanceof Error ? cause.message : String(cause)
  return others === 0 ? message : `${message} (and ${others} more ${plural(others)} not sent)`
}

function plural(others: number): string {
  return others === 1 ? 'file was' : 'files were'
}

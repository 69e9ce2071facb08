/** What a request is refused with: a status and a sentence that tells nothing of the server. Pure. */
import { type ErrorCode, type FerryError, isFerryError } from '../../errors.ts'

/** A request that a door itself refuses, before the core is asked. */
export class Refusal extends Error {
  readonly status: number
  readonly fields: Readonly<Record<string, string>>

  constructor(status: number, message: string, fields: Readonly<Record<string, string>> = {}) {
    super(message)
    this.status = status
    this.fields = fields
  }
}

/** A failure, as a client is told of it. */
export interface ToldFailure {
  readonly status: number
  /** One sentence. */
  readonly message: string
  readonly fields: Readonly<Record<string, string>>
  /** Not the client's fault: whoever runs the server should hear of it. */
  readonly isOurs: boolean
}

/** Statuses for what a core throws; what is not here is a failure of the server's own. */
const STATUSES: Readonly<Partial<Record<ErrorCode, number>>> = {
  'upload-not-found': 404,
  'upload-expired': 410,
  'upload-complete': 403,
  'upload-incomplete': 400,
  'upload-is-part': 403,
  'upload-lost': 410,
  'upload-too-large': 413,
  'offset-mismatch': 409,
  'length-mismatch': 400,
  'content-mismatch': 409,
  'digest-mismatch': 400,
  'digest-unsupported': 400,
  'quota-exceeded': 403,
  'insufficient-storage': 507,
  'name-refused': 400,
  'no-space': 507,
  'target-exists': 409,
}

/** Their own messages may tell paths of the server. */
const SENTENCES: Readonly<Partial<Record<ErrorCode, string>>> = {
  'insufficient-storage': 'Cannot take the upload: there is no room left',
  'no-space': 'Cannot take the upload: there is no room left',
  'name-refused': 'Cannot give the upload its name',
  'target-exists': 'Cannot give the upload its name: it is taken',
}

/** Gives what a client is told of an error. */
export function tellFailure(error: unknown): ToldFailure {
  if (error instanceof Refusal) {
    const { status, message, fields } = error
    return { status, message, fields, isOurs: false }
  }
  if (!isFerryError(error)) return OUR_FAILURE
  const { code } = error
  const status = code === 'upload-interrupted' ? interruptStatus(error) : STATUSES[code]
  if (status === undefined) return OUR_FAILURE
  return { status, message: SENTENCES[code] ?? error.message, fields: {}, isOurs: false }
}

const OUR_FAILURE: ToldFailure = {
  status: 500,
  message: 'Cannot take the upload: the server has failed',
  fields: {},
  isOurs: true,
}

/** With a status of 500 or more, clients of every protocol look for the offset and go on. */
function interruptStatus({ detail }: FerryError): number {
  return detail['reason'] === 'replaced' ? 409 : 503
}

/** What a request of the IndexedCP protocol is refused with. Pure. */
import { Refusal, tellFailure } from './refusal.ts'

/** A refusal whose JSON has words of the protocol in `error`. */
export class TitledRefusal extends Refusal {
  readonly title: string

  constructor(status: number, title: string, message: string) {
    super(status, message)
    this.title = title
  }
}

/** A failure as the JSON of the protocol. */
export interface JsonFailure {
  readonly status: number
  readonly fields: Readonly<Record<string, string>>
  readonly content: { readonly error: string; readonly message: string }
  readonly isOurs: boolean
}

export function toJsonFailure(failure: unknown): JsonFailure {
  const { status, message, fields, isOurs } = tellFailure(failure)
  const error = failure instanceof TitledRefusal ? failure.title : 'Upload error'
  return { status, fields, content: { error, message }, isOurs }
}

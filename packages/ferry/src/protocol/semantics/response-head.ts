/** The head of a response, whichever version of HTTP carried it. */
import type { HeaderFields } from './header-fields.ts'

/** The status and the fields of a response (RFC 9110 §15, §6.3). */
export interface ResponseHead {
  readonly status: number
  /** Empty in HTTP/2, which has none (RFC 9113 §8.3.2). */
  readonly statusText: string
  readonly version: '1.0' | '1.1' | '2'
  readonly headers: HeaderFields
}

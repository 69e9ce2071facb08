/**
 * A ResponseHandler that writes down what it is told, one line an event, for tests to compare.
 * Content is copied, as a handler must; `flowing` decides what `onContent` answers.
 */
import type { ResponseHead } from '../protocol/semantics/response-head.ts'
import type { HeaderFields } from '../protocol/semantics/header-fields.ts'
import type { Exchange, ResponseHandler } from '../transport/connection.ts'

/** Records one response. */
export class RecordingHandler implements ResponseHandler {
  /** `head 200 5`, `content hello`, `complete`, `error …`: in the order they came. */
  readonly events: string[] = []
  /** What ended the exchange badly, the very object. */
  error: unknown
  exchange: Exchange | undefined
  flowing = true
  /** Memory offered for content. */
  offered: Buffer | undefined

  onInformation(head: ResponseHead): void {
    this.events.push(`information ${head.status}`)
  }

  onHead(head: ResponseHead, length: number | undefined, exchange: Exchange): void {
    this.exchange = exchange
    this.events.push(`head ${head.status} ${length ?? 'unknown'}`)
  }

  onContent(bytes: Buffer): boolean {
    this.events.push(`content ${bytes.toString('latin1')}`)
    return this.flowing
  }

  contentBuffer(): Buffer | undefined {
    return this.offered
  }

  onComplete(trailers: HeaderFields): void {
    const fields = [...trailers].map(([name, value]) => ` ${name}=${value}`).join('')
    this.events.push(`complete${fields}`)
  }

  onError(error: Error, responseStarted: boolean): void {
    this.error = error
    this.events.push(`error ${responseStarted ? 'after' : 'before'} the response began`)
  }
}

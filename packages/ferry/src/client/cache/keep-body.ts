/** A body that is kept while it is read: what its reader takes is copied, up to a limit. */
import { ResponseBody } from '../../transport/response-body.ts'

/** What becomes of the copy. */
export interface KeepBodyOptions {
  readonly maxBytes: number
  /** Reads at once, and not at the reader's pace, for as long as a copy is kept. */
  readonly eager: boolean
  /** Called once: with all content when it has ended whole, else with undefined. */
  onEnd(bytes: Buffer | undefined): void
}

/** Gives a body with the content of another, which it takes over. */
export function keepBody(source: ResponseBody, options: KeepBodyOptions): ResponseBody {
  const { maxBytes, eager } = options
  let kept: Buffer[] | undefined = []
  let keptBytes = 0
  let resume = (): void => {}
  const end = (isWhole: boolean): void => {
    if (kept === undefined) return
    const bytes = isWhole ? Buffer.concat(kept, keptBytes) : undefined
    kept = undefined
    options.onEnd(bytes)
  }
  const copy = (bytes: Buffer): void => {
    keptBytes += bytes.length
    if (keptBytes > maxBytes) end(false)
    else kept?.push(Buffer.from(bytes))
  }
  const run = async (): Promise<void> => {
    await source.pipe({
      start: (flow) => (resume = () => flow.resume()),
      buffer: () => body.receiveBuffer(),
      write: (bytes) => {
        if (kept !== undefined) copy(bytes)
        const flowing = body.receive(bytes)
        return flowing || (eager && kept !== undefined)
      },
    })
    end(true)
    body.complete(source.trailers)
  }
  const start = (): void => {
    run().catch((error: Error) => {
      end(false)
      body.fail(error)
    })
  }
  const abort = (reason: Error): void => {
    source.cancel(reason)
    if (source.used) return
    end(false)
    body.fail(reason)
  }
  const flow = { resume: () => resume(), abort }
  const body = new ResponseBody(flow, source.length, eager ? undefined : start)
  if (eager) start()
  return body
}

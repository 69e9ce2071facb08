/**
 * The process that takes events: `sse-client.ts TASK`, the task as JSON. Prints a `WorkReport`, from
 * the call that connects to the last event.
 */
import { EventSource } from 'eventsource'
import { ConnectionPool, eventSource } from 'ferry/transport'
import { dataOf } from './sse-events.ts'
import { measureWork, reportAndExit } from './work-report.ts'

/** What the process is told. */
export interface SseTask {
  readonly client: SseClientName
  /** The number of events goes behind it. */
  readonly url: string
  readonly events: number
  readonly warmUpEvents: number
}

/** Takes so many events, and closes. */
type TakeEvents = (url: string, events: number) => Promise<void>

const CLIENTS = {
  'ferry eventSource': takeWithFerry,
  eventsource: takeWithEventSource,
} as const satisfies Record<string, TakeEvents>

export type SseClientName = keyof typeof CLIENTS

const COMPARED_EVERY = 1000

const task = JSON.parse(process.argv[2] ?? '') as SseTask
const take = (events: number): Promise<void> => CLIENTS[task.client](`${task.url}${events}`, events)
await take(task.warmUpEvents)
reportAndExit(await measureWork(() => take(task.events)))

async function takeWithFerry(url: string, events: number): Promise<void> {
  await using pool = new ConnectionPool()
  let taken = 0
  for await (const { data, lastEventId } of eventSource(url, { pool })) {
    expectEvent(taken, data, lastEventId)
    if (++taken === events) break
  }
}

function takeWithEventSource(url: string, events: number): Promise<void> {
  let taken = 0
  const source = new EventSource(url)
  return new Promise((resolve, reject) => {
    source.addEventListener('error', ({ message }) => reject(new Error(message)))
    source.addEventListener('message', ({ data, lastEventId }) => {
      expectEvent(taken, data as string, lastEventId)
      if (++taken < events) return
      source.close()
      resolve()
    })
  })
}

/** Looks at the id of each, and at the content of a few: comparing must not be what is measured. */
function expectEvent(index: number, data: string, lastEventId: string): void {
  if (Number(lastEventId) === index && (index % COMPARED_EVERY !== 0 || data === dataOf(index)))
    return
  throw new Error(`Expected event ${index}, got ${lastEventId}: ${data}`)
}

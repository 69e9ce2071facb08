/**
 * What went over the wire for one fetch: each request with its response, redirections and retries
 * among them, and when each of its steps began and ended. They follow each other, so that whatever
 * a connection tells belongs to the latest.
 */
import type { ExchangeEvent, RetryEvent } from 'ferry/client'
import type { HttpRequest, HttpResponse, TraceEvent } from 'ferry/transport'

/** When a step began and ended, on the client's clock. */
export interface StepTimes {
  readonly start: number
  /** Undefined while it lasts. */
  end: number | undefined
}

/** What carried a response. */
export interface Carrier {
  readonly reused: boolean
  /** `203.0.113.7:443`; undefined for what is no address. */
  readonly peer: string | undefined
  /** `TLSv1.3` */
  readonly tls: string | undefined
}

/** One request and what came of it. */
export interface FetchExchange {
  readonly request: HttpRequest
  /** Undefined when none came. */
  response: HttpResponse | undefined
  carrier: Carrier | undefined
  error: Error | undefined
  readonly steps: Map<TraceEvent['step'], StepTimes>
  /** What was waited for before the next try. */
  retry: RetryEvent | undefined
}

/** Is told of heads as they go and come. */
export interface HeadListener {
  onRequest(request: HttpRequest): void
  onResponse(response: HttpResponse, carrier: Carrier | undefined): void
}

/** The exchanges of one fetch, in their order. */
export class ExchangeRecord {
  readonly exchanges: FetchExchange[] = []
  readonly #byNumber = new Map<number, FetchExchange>()
  readonly #listener: HeadListener | undefined

  constructor(listener?: HeadListener) {
    this.#listener = listener
  }

  /** Takes what the client tells of requests that go out. */
  noteExchange(event: ExchangeEvent): void {
    if (event.type === 'request') {
      this.#begin(event.request)
      this.#listener?.onRequest(event.request)
      return
    }
    const exchange = this.exchanges.at(-1)
    if (exchange === undefined) return
    if (event.type === 'error') {
      exchange.error = event.error as Error
      return
    }
    exchange.response = event.response
    // Known only while the connection is open.
    exchange.carrier = carrierOf(event.response)
    this.#listener?.onResponse(event.response, exchange.carrier)
  }

  /** Takes a trace event. */
  note({ step, phase, at, exchange: number }: TraceEvent): void {
    const exchange = this.#find(number)
    if (exchange === undefined || step === 'close') return
    const times = exchange.steps.get(step)
    // Several addresses may be tried at once: the first begins, the last that is told of ends.
    if (times !== undefined) times.end = phase === 'start' ? undefined : at
    else if (phase === 'start') exchange.steps.set(step, { start: at, end: undefined })
  }

  /** Takes what the client says before it waits. */
  noteRetry(retry: RetryEvent): void {
    const latest = this.exchanges.at(-1)
    if (latest !== undefined) latest.retry = retry
  }

  #begin(request: HttpRequest): void {
    this.exchanges.push({
      request,
      response: undefined,
      carrier: undefined,
      error: undefined,
      steps: new Map(),
      retry: undefined,
    })
  }

  #find(number: number | undefined): FetchExchange | undefined {
    const latest = this.exchanges.at(-1)
    if (number === undefined || latest === undefined) return latest
    const known = this.#byNumber.get(number)
    if (known === undefined) this.#byNumber.set(number, latest)
    return known ?? latest
  }
}

function carrierOf({ connection }: HttpResponse): Carrier | undefined {
  if (connection === undefined) return undefined
  const peer = connection.getExtraInfo('peer')
  return {
    reused: connection.reused,
    peer: peer === undefined ? undefined : formatEndpoint(peer),
    tls: connection.getExtraInfo('tls')?.version,
  }
}

function formatEndpoint({ address, port }: { address: string; port: number | undefined }): string {
  if (port === undefined) return address
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/**
 * Tells what happens on the way of a request, step by step, to one callback of the pool and to the
 * diagnostics channel `ferry:transport`. While nobody listens nothing is built and no clock is read.
 *
 *     queue → resolve → connect → (proxy) → (tls) → send-head → (send-body) → wait → read-head → read-body
 *
 * `queue` lasts until a connection is there; the four after it are told of a connection, whoever
 * waits for it; `close` is told once for each connection, at its end.
 */
import { type Channel, channel } from 'node:diagnostics_channel'
import type { Clock } from '../clock.ts'
import type { ConnectStep } from '../net/network-backend.ts'
import { throwLater } from './throw-later.ts'

export type ExchangeStep = 'queue' | 'send-head' | 'send-body' | 'wait' | 'read-head' | 'read-body'

export type TraceStep = ConnectStep['step'] | ExchangeStep | 'close'

/** One step that began, ended or failed. */
export interface TraceEvent {
  readonly step: TraceStep
  /** `close` has only an `end`; an exchange that it cuts off tells its own `error`. */
  readonly phase: 'start' | 'end' | 'error'
  /** Monotonic ms on the pool's clock; only differences mean something. */
  readonly at: number
  /** `https://example.org:443` */
  readonly origin: string
  /** The connection's number in its pool; undefined in `queue`. */
  readonly connection: number | undefined
  /** The exchange's number in its pool; undefined in the steps of a connection. */
  readonly exchange: number | undefined
  /** Method and target without its query, in the steps of an exchange. */
  readonly request: string | undefined
  /** The address that is tried, in `connect`. */
  readonly address?: string | undefined
  readonly error?: Error | undefined
}

/** Takes trace events. What it throws becomes an uncaught exception. */
export type TraceListener = (event: TraceEvent) => void

/** The diagnostics channel on which every pool of the process publishes its trace events. */
export const TRACE_CHANNEL = 'ferry:transport'

const traceChannel: Channel = channel(TRACE_CHANNEL)

/** Hands trace events to whoever listens. */
export class Tracer {
  readonly #listener: TraceListener | undefined
  readonly #clock: Clock

  constructor(listener: TraceListener | undefined, clock: Clock) {
    this.#listener = listener
    this.#clock = clock
  }

  /** Whether anybody listens now. */
  get active(): boolean {
    return this.#listener !== undefined || traceChannel.hasSubscribers
  }

  emit(event: Omit<TraceEvent, 'at'>): void {
    const timed: TraceEvent = { ...event, at: this.#clock.now() }
    try {
      this.#listener?.(timed)
    } catch (error) {
      throwLater(error)
    }
    traceChannel.publish(timed)
  }
}

/** The steps of one exchange; several may be open at once, since responses can come early. */
export class ExchangeTrace {
  /** Set once it has a connection. */
  connection: number | undefined
  readonly #tracer: Tracer
  readonly #subject: {
    readonly origin: string
    readonly exchange: number
    readonly request: string
  }
  readonly #open = new Set<ExchangeStep>()

  constructor(
    tracer: Tracer,
    subject: { readonly origin: string; readonly exchange: number; readonly request: string },
  ) {
    this.#tracer = tracer
    this.#subject = subject
  }

  start(step: ExchangeStep): void {
    this.#open.add(step)
    this.#emit(step, 'start')
  }

  /** No effect unless the step is open. */
  end(step: ExchangeStep): void {
    if (this.#open.delete(step)) this.#emit(step, 'end')
  }

  /** Ends every open step with an error. */
  fail(error: Error): void {
    for (const step of this.#open) this.#emit(step, 'error', error)
    this.#open.clear()
  }

  #emit(step: ExchangeStep, phase: TraceEvent['phase'], error?: Error): void {
    this.#tracer.emit({ ...this.#subject, step, phase, connection: this.connection, error })
  }
}

/** What happened, as JSON for programs; the fields are documented in docs/fetch-command.md. Pure. */
import type { FetchExchange } from './fetch-exchanges.ts'
import { type PhaseName, phasesOf } from './fetch-timing.ts'

/** What a report is made of. */
export interface ReportFacts {
  readonly exchanges: readonly FetchExchange[]
  /** Of content, decoded. */
  readonly bytes: number
  readonly elapsedMs: number
  readonly exitCode: number
  /** Undefined when all went well. */
  readonly failure: { readonly code: string; readonly message: string } | undefined
}

/** Makes the report: URLs without user, password and query, no fields; what is not known is left out. */
export function formatReport({
  exchanges,
  bytes,
  elapsedMs,
  exitCode,
  failure,
}: ReportFacts): string {
  const last = exchanges.at(-1)
  const report = {
    url: last?.request.url.label,
    status: last?.response?.status,
    version: last?.response?.version,
    bytes,
    elapsedMs: roundMs(elapsedMs),
    exitCode,
    code: failure?.code,
    message: failure?.message,
    requests: exchanges.map(describeExchange),
  }
  // Those below U+0020 are escaped in JSON anyway; a terminal obeys these too.
  const text = JSON.stringify(report).replaceAll(
    /[\x7f-\x9f]/g,
    (control) => `\\u00${control.charCodeAt(0).toString(16)}`,
  )
  return `${text}\n`
}

function describeExchange(exchange: FetchExchange): object {
  const { request, response, carrier, error, retry } = exchange
  return {
    method: request.method,
    url: request.url.label,
    status: response?.status,
    version: response?.version,
    peer: carrier?.peer,
    tls: carrier?.tls,
    reused: carrier?.reused,
    error: error?.message,
    retryDelayMs: retry?.delayMs,
    timings: timingsOf(exchange),
  }
}

function timingsOf(exchange: FetchExchange): Partial<Record<`${PhaseName}Ms`, number>> {
  return Object.fromEntries(
    phasesOf(exchange).map(({ name, start, end }) => [`${name}Ms`, roundMs(end - start)]),
  )
}

/** To a thousandth: what a clock tells beyond that is noise. */
function roundMs(ms: number): number {
  return Math.round(ms * 1000) / 1000
}

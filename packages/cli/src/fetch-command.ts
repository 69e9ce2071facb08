/** `ferry fetch`: one request, out of what the options say; its end becomes an exit code. */
import { resolve } from 'node:path'
import { type ClientResponse, HttpClient } from 'ferry/client'
import { ConfigError, HttpStatusError } from 'ferry/errors'
import { HttpUrl } from 'ferry/transport'
import { EXIT_OK } from './exit-codes.ts'
import { type FetchBody, readBody } from './fetch-body.ts'
import { FetchConsole } from './fetch-console.ts'
import { type CookieFile, openCookieFile } from './fetch-cookies.ts'
import { readCredentials } from './fetch-credentials.ts'
import { ExchangeRecord, type HeadListener } from './fetch-exchanges.ts'
import { describeFailure, type FetchFailure, Interruption } from './fetch-failure.ts'
import { FileSink } from './fetch-file.ts'
import { describeFields, describeRequest, describeResponse } from './fetch-heads.ts'
import { type ConnectionOptions, readConnectionOptions } from './fetch-network.ts'
import type { FetchOptions } from './fetch-options.ts'
import { FetchOutput } from './fetch-output.ts'
import { formatReport } from './fetch-report.ts'
import { ReaderGone } from './fetch-sinks.ts'
import { renderTiming } from './fetch-timing.ts'
import { formatDuration } from './format.ts'
import { type OptionFields, readFields } from './option-files.ts'
import { version } from './version.ts'

// The last when the terminal goes away.
const STOPPING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** What the parts of one run share. */
interface FetchRun {
  readonly options: FetchOptions
  readonly console: FetchConsole
  readonly record: ExchangeRecord
  /** Names of fields that came from files. */
  readonly secretNames: string[]
  readonly output: FetchOutput
  readonly signal: AbortSignal
  /** Ends the run as Ctrl-C does. */
  readonly interrupt: () => void
}

/** Runs the command; resolves with the exit code. */
export async function runFetch(url: string, given: FetchOptions): Promise<number> {
  const options = given.output === '-' ? { ...given, output: undefined } : given
  const startedAt = performance.now()
  const stopping = new AbortController()
  const stop = (signal: NodeJS.Signals): void => {
    // The second signal does not wait for anything.
    if (stopping.signal.aborted) process.exit(new Interruption(signal).exitCode)
    stopping.abort(new Interruption(signal))
  }
  for (const name of STOPPING_SIGNALS) process.on(name, stop)
  const { signal } = stopping
  const console = new FetchConsole(process.stderr, { quiet: options.quiet === true })
  const output = new FetchOutput(options, signal)
  const interrupt = (): void => stop('SIGINT')
  const secretNames: string[] = []
  const heads = options.verbose === true ? headListener(console, secretNames) : undefined
  const record = new ExchangeRecord(heads)
  const run = { options, console, record, secretNames, output, signal, interrupt }
  let failure = await fetchUrl(url, run)
  console.stopWatching()
  if (options.timing === true) console.lines(timingOf(run))
  failure = await writeReport(run, performance.now() - startedAt, failure)
  if (failure !== undefined) console.error(failure.message)
  // What the reader of a pipe has not taken, or a file that nobody opens, would hold us.
  if (signal.aborted) process.exit(failure?.exitCode)
  for (const name of STOPPING_SIGNALS) process.off(name, stop)
  return failure?.exitCode ?? EXIT_OK
}

/** @returns how it failed; undefined when it went well */
async function fetchUrl(url: string, run: FetchRun): Promise<FetchFailure | undefined> {
  const { output, options } = run
  try {
    // Not everything that can be waited for can be called off: a pipe that nobody opens, say.
    await Promise.race([sendAndPrint(url, run), abortOf(run.signal)])
    return undefined
  } catch (error) {
    await output.abandon()
    return describeFailure(error as Error, { bytes: output.bytes, output: options.output })
  }
}

function abortOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error))
  })
}

async function sendAndPrint(url: string, run: FetchRun): Promise<void> {
  const { options, console, record, output, signal } = run
  checkTogether(options)
  const target = HttpUrl.parse(url)
  const fields = await readFields(options.header ?? [])
  run.secretNames.push(...fields.secretNames)
  const connections = await readConnectionOptions(options)
  const authorization = await authorizationFor(run, fields)
  const cookies =
    options.cookieJar === undefined ? undefined : await openCookieFile(options.cookieJar)
  await using client = createClient(connections, { run, fields, cookies })
  await output.prepare()
  // Last, since it may open what has to be read then.
  const body = await readBody(options)
  const method = options.head === true ? 'HEAD' : (options.method ?? (body ? 'POST' : 'GET'))
  console.watch(() => output.progress(options.output ?? `${method} ${target.label}`))
  const response = await client.stream(method, target, {
    headers: headersFor(options, { fields, body, authorization }),
    body: body?.body,
    signal,
    onRetry: (event) => {
      record.noteRetry(event)
      const wait = formatDuration(event.delayMs)
      console.note(`${event.reason}; trying again in ${wait} (try ${event.attempt + 1})`)
    },
  })
  await cookies?.save()
  await printResponse(response, run)
  if (options.verbose === true && response.body.trailers.size > 0) {
    console.lines(describeFields(response.body.trailers, []).map((line) => `< ${line}`))
  }
  checkStatus(response, run)
}

/** What each option allows by itself, and makes no sense together. @throws {ConfigError} */
function checkTogether({ method, output, report, cookieJar }: FetchOptions): void {
  if (method === 'CONNECT') {
    throw new ConfigError(
      'method',
      'Cannot send CONNECT: it asks a proxy for a tunnel; see --proxy',
    )
  }
  const written = { output, report: report === '-' ? undefined : report, 'cookie-jar': cookieJar }
  const names = new Map<string, string>()
  for (const [name, path] of Object.entries(written)) {
    // What is no file, /dev/null say, takes everything.
    if (path === undefined || path.startsWith('/dev/')) continue
    const other = names.get(resolve(path))
    if (other !== undefined) {
      throw new ConfigError(name, `Cannot use --${name} with ${path}: --${other} writes there`)
    }
    names.set(resolve(path), name)
  }
}

function createClient(
  connections: ConnectionOptions,
  from: { run: FetchRun; fields: OptionFields; cookies: CookieFile | undefined },
): HttpClient {
  const { run, fields, cookies } = from
  const { options, record } = run
  return new HttpClient({
    ...connections,
    trace: (event) => record.note(event),
    onExchange: (event) => record.noteExchange(event),
    headers: { 'User-Agent': `ferry/${version}`, Accept: acceptFor(options) },
    raiseForStatus: false,
    // Those of the connections are all there are: a stream may go on for ever.
    timeoutMs: Number.POSITIVE_INFINITY,
    retries: options.retries,
    maxRedirects: options.follow ? options.maxRedirects : 0,
    decompress: options.raw !== true,
    secretHeaders: fields.secretNames,
    ...(cookies === undefined ? {} : { cookies: cookies.jar }),
  })
}

function acceptFor({ json }: FetchOptions): string {
  return json === undefined ? '*/*' : 'application/json, */*;q=0.5'
}

/** The fields of the user, and those that follow from other options, unless the user has them. */
function headersFor(
  options: FetchOptions,
  from: { fields: OptionFields; body: FetchBody | undefined; authorization: string | undefined },
): (readonly [string, string])[] {
  const { fields, body, authorization } = from
  const headers = [...fields.fields]
  const add = (name: string, value: string | undefined): void => {
    const isGiven = headers.some(([other]) => other.toLowerCase() === name.toLowerCase())
    if (value !== undefined && !isGiven) headers.push([name, value])
  }
  add('Content-Type', body?.contentType)
  add('Authorization', authorization)
  return headers
}

async function authorizationFor(
  { options, signal, interrupt }: FetchRun,
  { fields }: OptionFields,
): Promise<string | undefined> {
  if (options.user === undefined) return undefined
  if (fields.some(([name]) => name.toLowerCase() === 'authorization')) {
    throw new ConfigError('user', 'Cannot use --user beside a --header Authorization')
  }
  return readCredentials(options.user, { signal, interrupt })
}

function headListener(console: FetchConsole, secretNames: readonly string[]): HeadListener {
  return {
    onRequest: (request) =>
      console.lines([...describeRequest(request, secretNames).map((line) => `> ${line}`), '>']),
    onResponse: (response, carrier) => {
      const way = [carrier?.peer, carrier?.tls, carrier?.reused === true ? 'used again' : undefined]
      const words = way.filter((word) => word !== undefined).join(', ')
      console.lines([`* ${words}`, ...describeResponse(response).map((line) => `< ${line}`), '<'])
    },
  }
}

async function printResponse(response: ClientResponse, run: FetchRun): Promise<void> {
  const { options, console, output } = run
  try {
    await output.begin(response)
    if (response.status >= 400 && options.fail === true) return response.cancel()
    // Two that draw on one terminal would spoil each other.
    if (output.isOnTerminal) console.stopWatching()
    for await (const bytes of response.body) await output.write(bytes)
    await output.finish()
  } catch (error) {
    response.cancel()
    // Who reads no further has what they wanted.
    if (!(error instanceof ReaderGone)) throw error
    await output.abandon()
  }
  console.stopWatching()
  const summary = output.summary()
  if (summary !== undefined && console.isTerminal) console.note(summary)
}

/** @throws {HttpStatusError} when the status is one to fail for */
function checkStatus(response: ClientResponse, { options }: FetchRun): void {
  if (options.fail !== false) response.raiseForStatus()
  const { status, statusText, headers, request, url } = response
  const isLeft = [307, 308].includes(status) && headers.has('location') && options.follow
  if (!isLeft || request.replayable) return
  throw new HttpStatusError(
    `Cannot ${request.method} ${url.label}: ${status} ${statusText}`.trimEnd() +
      ', but standard input can be sent only once',
    { status, statusText, headers },
  )
}

function timingOf({ record, output, console }: FetchRun): string[] {
  const color = console.isTerminal && output.wantsColor
  return renderTiming({ exchanges: record.exchanges, bytes: output.bytes, color })
}

/** @returns the failure of the fetch; without one, that of writing the report */
async function writeReport(
  { options, record, output, console }: FetchRun,
  elapsedMs: number,
  failure: FetchFailure | undefined,
): Promise<FetchFailure | undefined> {
  const path = options.report
  if (path === undefined) return failure
  const text = formatReport({
    exchanges: record.exchanges,
    bytes: output.bytes,
    elapsedMs,
    exitCode: failure?.exitCode ?? EXIT_OK,
    failure,
  })
  if (path === '-') {
    console.lines([text.trimEnd()])
    return failure
  }
  let file: FileSink | undefined
  try {
    file = await FileSink.open(path)
    await file.write(Buffer.from(text))
    await file.finish()
    return failure
  } catch (error) {
    await file?.abandon()
    if (error instanceof ReaderGone) return failure
    return failure ?? describeFailure(error as Error, { bytes: 0, output: options.output })
  }
}

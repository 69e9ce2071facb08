/** `ferry get`: turns options into downloads, one URL after another, and failures into exit codes. */
import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { HttpClient, type RequestClient } from 'ferry/client'
import { type Download, download, fileNameOf, parseChecksum } from 'ferry/download'
import { ConfigError, isFerryError } from 'ferry/errors'
import { HttpUrl } from 'ferry/transport'
import {
  adviceFor,
  ENDINGS,
  EXIT_INTERRUPTED,
  EXIT_OK,
  EXIT_TERMINATED,
  EXIT_UNEXPECTED,
} from './exit-codes.ts'
import { formatBytes, parseRate } from './format.ts'
import { makeFolder } from './make-folder.ts'
import { readFields, readOptionFile } from './option-files.ts'
import { createReporter, type Failure, type Reporter } from './reporter.ts'
import { version } from './version.ts'

/** The options as commander gives them. */
export interface GetOptions {
  readonly output?: string
  readonly dir?: string
  readonly connections: number
  readonly checksum?: string
  readonly header: readonly string[]
  readonly limitRate?: string
  readonly onChange: 'restart' | 'fail'
  readonly overwrite?: true
  readonly fresh?: true
  readonly retries: number
  readonly timeout: number
  readonly cacert?: string
  readonly insecure?: true
  readonly json?: true
  readonly quiet?: true
}

/** A signal from outside; which one decides the exit code. */
class Interruption extends Error {
  readonly exitCode: number

  constructor(signal: NodeJS.Signals) {
    super('Interrupted')
    this.exitCode = signal === 'SIGTERM' ? EXIT_TERMINATED : EXIT_INTERRUPTED
  }
}

/** Runs the command; resolves with the exit code: that of the first failure. */
export async function runGet(urls: readonly string[], options: GetOptions): Promise<number> {
  const reporter = createReporter(
    { json: options.json === true, quiet: options.quiet === true },
    process.stdout,
    process.stderr,
  )
  const stopping = new AbortController()
  const stop = (signal: NodeJS.Signals): void => {
    // The second signal does not wait for the disk.
    if (stopping.signal.aborted) process.exit(new Interruption(signal).exitCode)
    stopping.abort(new Interruption(signal))
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  try {
    return await getAll(urls, options, reporter, stopping.signal)
  } catch (error) {
    const failure = describeFailure(error as Error, undefined)
    reporter.failed(failure)
    return failure.exitCode
  } finally {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  }
}

async function getAll(
  urls: readonly string[],
  options: GetOptions,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<number> {
  checkTogether(urls, options)
  checkTargets(urls, options)
  const { fields: headers } = await readFields(options.header)
  const timeoutMs = options.timeout * 1000
  await using client = new HttpClient({
    headers: { 'User-Agent': `ferry/${version}`, Accept: '*/*' },
    connectTimeoutMs: timeoutMs,
    headersTimeoutMs: timeoutMs,
    bodyTimeoutMs: timeoutMs,
    // Several connections are to carry the file; over HTTP/2 one would carry it all.
    http2: 'off',
    tls: {
      ...(options.cacert === undefined
        ? {}
        : { ca: await readOptionFile('cacert', options.cacert) }),
      insecure: options.insecure === true,
    },
  })
  if (options.dir !== undefined) await makeFolder(options.dir)
  const made = new Set<string>()
  let exitCode = EXIT_OK
  for (const url of urls) {
    // A signal that came when the file before was as good as done still ends the run as one.
    if (signal.aborted && exitCode !== EXIT_OK) break
    const code = await getOne(url, { options, headers, client, reporter, signal, made })
    if (exitCode === EXIT_OK) exitCode = code
  }
  return exitCode
}

async function getOne(
  url: string,
  context: {
    options: GetOptions
    headers: readonly (readonly [string, string])[]
    client: RequestClient
    reporter: Reporter
    signal: AbortSignal
    /** What the URLs before have become. */
    made: Set<string>
  },
): Promise<number> {
  const { options, headers, client, reporter, signal, made } = context
  let running: Download | undefined
  try {
    const target = targetOf(url, options)
    await checkNotMade(target, made)
    running = download(url, target, {
      headers,
      client,
      signal,
      maxConnections: options.connections,
      maxRetries: options.retries,
      limitBytesPerSecond:
        options.limitRate === undefined ? undefined : parseRate(options.limitRate),
      checksum: options.checksum === undefined ? undefined : parseChecksum(options.checksum),
      onExists: options.overwrite === true ? 'overwrite' : 'fail',
      fresh: options.fresh === true,
      onChange: options.onChange,
      onEvent: (event) => reporter.event(event),
    })
    reporter.start(target, running)
    reporter.completed(await running.result)
    made.add((await fileAt(target)) ?? target)
    return EXIT_OK
  } catch (error) {
    const failure = describeFailure(error as Error, running)
    reporter.failed(failure)
    return failure.exitCode
  }
}

/** One line that says what was attempted and what can be done. */
function describeFailure(error: Error, running: Download | undefined): Failure {
  const url = running?.url.href
  if (error instanceof Interruption) {
    return {
      url,
      error,
      code: 'interrupted',
      exitCode: error.exitCode,
      message: describeInterruption(running),
    }
  }
  if (isFerryError(error)) {
    const { exitCode } = ENDINGS[error.code]
    const advice = adviceFor(error, { resumable: running?.progress().resumable === true })
    return { url, error, code: error.code, exitCode, message: `${error.message}. ${advice}.` }
  }
  return {
    url,
    error,
    code: 'unexpected',
    exitCode: EXIT_UNEXPECTED,
    message: `Unexpected failure: ${error.message}. Please report it, with the command that led to it.`,
  }
}

function describeInterruption(running: Download | undefined): string {
  const progress = running?.progress()
  if (running === undefined || progress === undefined || progress.receivedBytes === 0) {
    return 'Interrupted before anything had come.'
  }
  const { receivedBytes, size, resumable } = progress
  const of = size === undefined ? '' : ` of ${formatBytes(size)}`
  const come = `Interrupted: ${formatBytes(receivedBytes)}${of}`
  return resumable
    ? `${come} are kept in ${running.partPath}. Run the same command again to go on.`
    : `${come} had come. The same command begins anew, since this server does not let a download go on.`
}

function checkTogether(urls: readonly string[], options: GetOptions): void {
  if (options.output === '-') {
    throw new ConfigError(
      'output',
      'Cannot write to standard output: a download needs a file that it can write in any order',
    )
  }
  if (urls.length === 1) return
  for (const name of ['output', 'checksum'] as const) {
    if (options[name] === undefined) continue
    throw new ConfigError(
      name,
      `Cannot use --${name} with ${urls.length} URLs: it is meant for one file`,
    )
  }
}

/** An absolute --output stays where it is; a name from a URL stays in the folder. */
function targetOf(url: string, { dir = '.', output }: GetOptions): string {
  return output === undefined ? join(dir, fileNameOf(HttpUrl.parse(url))) : resolve(dir, output)
}

/** @throws {ConfigError} when two URLs would become one file; one that is none fails by itself later */
function checkTargets(urls: readonly string[], options: GetOptions): void {
  const targets = new Set<string>()
  for (const url of urls) {
    if (!isUrl(url)) continue
    const target = targetOf(url, options)
    if (targets.has(target)) {
      throw new ConfigError(
        'url',
        `Cannot write two URLs to ${target}: fetch one of them with another name (-o) or folder (-d)`,
      )
    }
    targets.add(target)
  }
}

function isUrl(text: string): boolean {
  try {
    HttpUrl.parse(text)
    return true
  } catch {
    return false
  }
}

/** Names that differ can be one to the file system: in case, or in how an accent is written. */
async function checkNotMade(target: string, made: ReadonlySet<string>): Promise<void> {
  const found = await fileAt(target)
  if (found === undefined || !made.has(found)) return
  throw new ConfigError(
    'url',
    `Cannot write ${target}: it is the file that another URL has become in this run`,
  )
}

/** What tells a file from any other; undefined when there is none. */
async function fileAt(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined)
  return found && `${found.dev}:${found.ino}`
}

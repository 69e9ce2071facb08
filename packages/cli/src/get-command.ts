/** `ferry get`: turns options into downloads, several at once, and failures into exit codes. */
import { writeFile } from 'node:fs/promises'
import { HostLimits, RateLimit } from 'ferry/download'
import { ConfigError } from 'ferry/errors'
import { ENDINGS, EXIT_OK } from './exit-codes.ts'
import { Interruption } from './fetch-failure.ts'
import { writeError } from './fetch-system-errors.ts'
import { parseSize } from './format.ts'
import { GetClients } from './get-clients.ts'
import { describeFailure } from './get-failure.ts'
import { collectItems } from './get-items.ts'
import type { GetOptions } from './get-options.ts'
import { GetRun } from './get-run.ts'
import { readGetFields } from './get-secrets.ts'
import { DOWNLOADS, type GetReporter } from './get-task.ts'
import { createReporter } from './reporter.ts'
import { StatsRecorder } from './stats-recorder.ts'

// The last when the terminal goes away.
const STOPPING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
// As many as downloads allow themselves when nobody says more.
const USUAL_MAX_PER_HOST = 16

/** Runs the command; resolves with the exit code: that of the first failure. */
export async function runGet(urls: readonly string[], options: GetOptions): Promise<number> {
  const choice = { json: options.json === true, quiet: options.quiet === true }
  const reporter = createReporter(DOWNLOADS, choice, process)
  const stopping = new AbortController()
  const stop = (signal: NodeJS.Signals): void => {
    // The second signal does not wait for the disk.
    if (stopping.signal.aborted) process.exit(new Interruption(signal).exitCode)
    stopping.abort(new Interruption(signal))
  }
  for (const name of STOPPING_SIGNALS) process.on(name, stop)
  try {
    return await getAll(urls, options, {
      reporter,
      signal: stopping.signal,
      interrupt: () => stop('SIGINT'),
    })
  } catch (error) {
    const failure = describeFailure(error as Error, undefined)
    reporter.failed(failure)
    return failure.exitCode
  } finally {
    reporter.close()
    for (const name of STOPPING_SIGNALS) process.off(name, stop)
  }
}

async function getAll(
  urls: readonly string[],
  options: GetOptions,
  context: {
    readonly reporter: GetReporter
    readonly signal: AbortSignal
    readonly interrupt: () => void
  },
): Promise<number> {
  const { reporter, signal } = context
  if (options.output === '-') {
    throw new ConfigError(
      'output',
      'Cannot write to standard output: a download needs a file that it can write in any order',
    )
  }
  const fields = await readGetFields(options, context)
  await using clients = await GetClients.open(options, fields)
  const warn = (sentence: string): void => reporter.note(sentence)
  const bytesPerSecond = parseSize('limit-rate', options.limitRate)
  const items = await collectItems(urls, options, { clients, signal, warn })
  const wantsStats = options.stats !== undefined || reporter.wantsSummary
  const stats = wantsStats ? new StatsRecorder() : undefined
  const run = new GetRun(options, {
    clients,
    reporter,
    stats,
    signal,
    headers: fields.open,
    limit: bytesPerSecond === undefined ? undefined : new RateLimit(bytesPerSecond),
    hosts: new HostLimits({
      maxConnectionsPerHost:
        options.maxPerHost ?? Math.max(USUAL_MAX_PER_HOST, options.connections),
    }),
  })
  const exitCode = await run.getAll(items)
  const written = stats === undefined ? EXIT_OK : await showStats(stats, options.stats, reporter)
  return exitCode === EXIT_OK ? written : exitCode
}

/** Tells what was recorded; that the figure cannot be written is a failure when nothing else was. */
async function showStats(
  stats: StatsRecorder,
  path: string | undefined,
  reporter: GetReporter,
): Promise<number> {
  const recorded = stats.stop()
  reporter.summary(recorded)
  if (path === undefined) return EXIT_OK
  try {
    const { renderStatsSvg } = await import('./stats-svg.ts')
    await writeFile(path, renderStatsSvg(recorded))
    return EXIT_OK
  } catch (cause) {
    const error = writeError(path, cause as NodeJS.ErrnoException)
    const { code, message } = error
    const { exitCode } = ENDINGS[code]
    reporter.failed({ url: undefined, error, code, exitCode, message: `${message}.` })
    return exitCode
  }
}

/** `ferry verify`: checks files that are here against digests, and says which are not right. */
import { constants } from 'node:os'
import { ConfigError, type FerryError, isFerryError } from 'ferry/errors'
import { ENDINGS, EXIT_OK, EXIT_UNEXPECTED } from './exit-codes.ts'
import { FetchConsole } from './fetch-console.ts'
import { formatBytes } from './format.ts'
import { readOptionFile } from './option-files.ts'
import { printable } from './terminal-text.ts'
import { checkFile, type Expectation, expectationsOf } from './verify-file.ts'
import type { VerifyOptions } from './verify-options.ts'

const STOPPING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const JSON_MS = 1000

/** Ends the run. */
class Stopped extends Error {
  readonly exitCode: number

  constructor(signal: NodeJS.Signals) {
    super('Interrupted')
    // As shells have it.
    this.exitCode = 128 + constants.signals[signal]
  }
}

/** Runs the command; resolves with the exit code: that of the first file that is not right. */
export async function runVerify(files: readonly string[], options: VerifyOptions): Promise<number> {
  const stopping = new AbortController()
  const stop = (signal: NodeJS.Signals): void => stopping.abort(new Stopped(signal))
  for (const name of STOPPING_SIGNALS) process.on(name, stop)
  const run = new VerifyRun(options, stopping.signal)
  try {
    const expectations = await readExpectations(files, options)
    return await run.checkAll(expectations)
  } catch (error) {
    return run.fail(error as Error, undefined)
  } finally {
    for (const name of STOPPING_SIGNALS) process.off(name, stop)
  }
}

/** @throws {ConfigError} when it is not clear what to check by */
async function readExpectations(
  files: readonly string[],
  options: VerifyOptions,
): Promise<Expectation[]> {
  const { checksum, checksums, metalink } = options
  if (checksum !== undefined && files.length !== 1) {
    throw new ConfigError(
      'checksum',
      `Cannot use --checksum with ${files.length} files: it is meant for one file`,
    )
  }
  if (checksum === undefined && checksums === undefined && metalink === undefined) {
    throw new ConfigError(
      'checksum',
      'Cannot verify without a digest: expected --checksum, --checksums or --metalink',
    )
  }
  return expectationsOf(files, {
    checksum,
    list:
      checksums === undefined
        ? undefined
        : { name: checksums, text: await readOptionFile('checksums', checksums) },
    metalink: metalink === undefined ? undefined : await readOptionFile('metalink', metalink),
  })
}

/** The files of one command. */
class VerifyRun {
  readonly #options: VerifyOptions
  readonly #signal: AbortSignal
  readonly #console: FetchConsole

  constructor(options: VerifyOptions, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
    const quiet = options.quiet === true || options.json === true
    this.#console = new FetchConsole(process.stderr, { quiet })
  }

  async checkAll(expectations: readonly Expectation[]): Promise<number> {
    const codes: number[] = []
    for (const expectation of expectations) {
      codes.push(await this.#checkOne(expectation))
      if (this.#signal.aborted) break
    }
    return codes.find((code) => code !== EXIT_OK) ?? EXIT_OK
  }

  /** Tells of a failure; gives its exit code. */
  fail(error: FerryError | Error, path: string | undefined): number {
    const { code, exitCode } = endingOf(error)
    const detail = isFerryError(error) ? error.detail : {}
    const message = error.message
    if (this.#options.json === true) {
      writeJson({ event: 'failed', path, code, exitCode, message, detail })
    } else {
      this.#console.stopWatching()
      this.#console.error(
        code === 'config' ? `${message}. See ferry verify --help.` : `${message}.`,
      )
    }
    return exitCode
  }

  async #checkOne(expectation: Expectation): Promise<number> {
    const { path } = expectation
    const startedAt = performance.now()
    let bytes = 0
    let size: number | undefined
    this.#console.watch(() => ({ name: path, bytes, size, contentAt: startedAt }))
    const timer = setInterval(() => {
      if (this.#options.json === true) writeJson({ event: 'progress', path, bytes, size })
    }, JSON_MS)
    try {
      const found = await checkFile(expectation, {
        signal: this.#signal,
        onSize: (all) => (size = all),
        onProgress: (done) => (bytes = done),
      })
      this.#console.stopWatching()
      this.#tell(path, found)
      return EXIT_OK
    } catch (error) {
      return this.fail(error as Error, path)
    } finally {
      clearInterval(timer)
      this.#console.stopWatching()
    }
  }

  #tell(path: string, found: Awaited<ReturnType<typeof checkFile>>): void {
    const { quiet, json } = this.#options
    if (json === true) return writeJson({ event: 'verified', path, ...found })
    if (quiet === true) return
    const what =
      found.checksum === undefined
        ? `all ${found.pieces} pieces are`
        : `${found.checksum.algorithm} is`
    process.stdout.write(`${printable(path)}: ${what} right, ${formatBytes(found.size)}\n`)
  }
}

function endingOf(error: FerryError | Error): { readonly code: string; readonly exitCode: number } {
  if (error instanceof Stopped) return { code: 'interrupted', exitCode: error.exitCode }
  if (isFerryError(error)) return { code: error.code, exitCode: ENDINGS[error.code].exitCode }
  return { code: 'unexpected', exitCode: EXIT_UNEXPECTED }
}

function writeJson(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

/** Tells the user what happens: by redrawing a terminal, by plain lines, by JSON lines, or not at all. */
import type { Download, DownloadEvent, DownloadResult } from 'ferry/download'
import type { FerryError } from 'ferry/errors'
import { formatBytes, formatDuration, formatSpeed } from './format.ts'
import { remainingMs, renderLine, renderProgress } from './progress-view.ts'

/** Why a download ended without its file. */
export interface Failure {
  /** Of the download; undefined when none had begun. */
  readonly url: string | undefined
  readonly error: FerryError | Error
  readonly code: string
  readonly exitCode: number
  readonly message: string
}

/** Takes what happens to one download after another. */
export interface Reporter {
  start(name: string, download: Download): void
  event(event: DownloadEvent): void
  completed(result: DownloadResult): void
  failed(failure: Failure): void
}

/** Where text goes. */
export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

const REDRAW_MS = 100
// In a log, a line now and then; the first once it is clear that it takes longer.
const FIRST_LINE_MS = 1000
const LINE_MS = 5000
const JSON_MS = 1000
const DEFAULT_COLUMNS = 80
// DECAWM, which every terminal since the VT100 knows: what is too wide is cut and not continued on
// the next line, whatever the width of its characters. In one write with what it is for, so that
// nothing else is drawn without wrapping.
const NO_WRAP = '\u001b[?7l'
const WRAP = '\u001b[?7h'

/** Chooses the way of telling. */
export function createReporter(
  options: { json: boolean; quiet: boolean },
  stdout: Output,
  stderr: Output,
): Reporter {
  if (options.json) return new JsonReporter(stdout)
  if (options.quiet) return new QuietReporter(stderr)
  return stderr.isTTY === true
    ? new TerminalReporter(stdout, stderr)
    : new LineReporter(stdout, stderr)
}

class QuietReporter implements Reporter {
  readonly #stderr: Output

  constructor(stderr: Output) {
    this.#stderr = stderr
  }

  start(): void {}

  event(): void {}

  completed(): void {}

  failed({ message }: Failure): void {
    this.#stderr.write(`ferry: ${message}\n`)
  }
}

/** Redraws a few lines in place. */
class TerminalReporter implements Reporter {
  readonly #stdout: Output
  readonly #stderr: Output
  #drawn = 0
  #timer: NodeJS.Timeout | undefined

  constructor(stdout: Output, stderr: Output) {
    this.#stdout = stdout
    this.#stderr = stderr
  }

  start(name: string, download: Download): void {
    const draw = (): void => {
      // A terminal that does not know its width says 0.
      const lines = renderProgress(
        name,
        download.progress(),
        this.#stderr.columns || DEFAULT_COLUMNS,
      )
      this.#clear()
      this.#stderr.write(NO_WRAP + lines.map((line) => `${line}\n`).join('') + WRAP)
      this.#drawn = lines.length
    }
    this.#timer = setInterval(draw, REDRAW_MS)
    this.#timer.unref()
  }

  event(event: DownloadEvent): void {
    this.#clear()
    const text = describeEvent(event)
    if (text !== undefined) this.#stderr.write(`${text}\n`)
  }

  completed(result: DownloadResult): void {
    this.#stop()
    this.#stdout.write(`${describeResult(result)}\n`)
  }

  failed({ message }: Failure): void {
    this.#stop()
    this.#stderr.write(`ferry: ${message}\n`)
  }

  #stop(): void {
    clearInterval(this.#timer)
    this.#clear()
  }

  /** Goes up over what was drawn and erases from there (ECMA-48 CPL and ED). */
  #clear(): void {
    if (this.#drawn > 0) this.#stderr.write(`\u001b[${this.#drawn}F\u001b[0J`)
    this.#drawn = 0
  }
}

/** Writes a line now and then. */
class LineReporter implements Reporter {
  readonly #stdout: Output
  readonly #stderr: Output
  #timer: NodeJS.Timeout | undefined

  constructor(stdout: Output, stderr: Output) {
    this.#stdout = stdout
    this.#stderr = stderr
  }

  start(name: string, download: Download): void {
    // The first look starts the measuring of speed.
    download.progress()
    const tell = (): void => {
      this.#stderr.write(`${renderLine(name, download.progress())}\n`)
      this.#timer = setTimeout(tell, LINE_MS)
      this.#timer.unref()
    }
    this.#timer = setTimeout(tell, FIRST_LINE_MS)
    this.#timer.unref()
  }

  event(event: DownloadEvent): void {
    const text = describeEvent(event)
    if (text !== undefined) this.#stderr.write(`${text}\n`)
  }

  completed(result: DownloadResult): void {
    clearTimeout(this.#timer)
    this.#stdout.write(`${describeResult(result)}\n`)
  }

  failed({ message }: Failure): void {
    clearTimeout(this.#timer)
    this.#stderr.write(`ferry: ${message}\n`)
  }
}

/** One JSON value a line, for programs; the fields are documented in docs/get.md. */
class JsonReporter implements Reporter {
  readonly #stdout: Output
  #timer: NodeJS.Timeout | undefined
  #url = ''

  constructor(stdout: Output) {
    this.#stdout = stdout
  }

  start(_name: string, download: Download): void {
    this.#url = download.url.href
    this.#write({ event: 'started', url: this.#url, path: download.target })
    download.progress()
    const tell = (): void => {
      const progress = download.progress()
      this.#write({
        event: 'progress',
        url: this.#url,
        ...progress,
        remainingMs: remainingMs(progress),
      })
    }
    this.#timer = setInterval(tell, JSON_MS)
    this.#timer.unref()
  }

  event(event: DownloadEvent): void {
    const { type, ...rest } = event
    const error = 'error' in event ? { error: event.error.message } : {}
    this.#write({ event: type, url: this.#url, ...rest, ...error })
  }

  completed(result: DownloadResult): void {
    clearInterval(this.#timer)
    this.#write({ event: 'completed', url: this.#url, ...result })
  }

  failed({ url, error, code, exitCode, message }: Failure): void {
    clearInterval(this.#timer)
    const detail = 'detail' in error ? error.detail : {}
    this.#write({ event: 'failed', url, code, exitCode, message, detail })
  }

  #write(value: object): void {
    this.#stdout.write(`${JSON.stringify(value)}\n`)
  }
}

/** A line for a person; undefined for what the display shows anyway. */
function describeEvent(event: DownloadEvent): string | undefined {
  switch (event.type) {
    case 'restart':
      return `${event.error.message}; starting again from its beginning`
    case 'retry':
      return `${event.error.message}; trying again in ${formatDuration(event.delayMs)} (try ${event.attempt + 1})`
    case 'mirror-dropped':
      return `${event.error.message}; going on without it`
    case 'bad-piece':
      return `${event.error.message}; fetching them again`
    case 'named':
    case 'state':
      return undefined
  }
}

function describeResult({
  path,
  size,
  elapsedMs,
  fetchedBytes,
  resumedBytes,
  checksum,
}: DownloadResult): string {
  const speed = elapsedMs > 0 ? ` (${formatSpeed((fetchedBytes * 1000) / elapsedMs)})` : ''
  const resumed = resumedBytes > 0 ? `, ${formatBytes(resumedBytes)} were here already` : ''
  const checked = checksum === undefined ? '' : `, ${checksum.algorithm} is right`
  return `${path}: ${formatBytes(size)} in ${formatDuration(elapsedMs)}${speed}${resumed}${checked}`
}

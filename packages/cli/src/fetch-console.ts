/**
 * Standard error: lines for people, and what is going on now, redrawn in place, once a fetch takes
 * longer than a second on a terminal.
 */
import { formatDuration } from './format.ts'
import { renderProgress } from './progress-view.ts'
import { RedrawnLines } from './redrawn-lines.ts'
import type { Output } from './reporter.ts'
import { printable } from './terminal-text.ts'

/** How far a fetch is. */
export interface FetchProgress {
  /** The file, or the request. */
  readonly name: string
  /** Of content, decoded. */
  readonly bytes: number
  /** Undefined when it is not known. */
  readonly size: number | undefined
  /** When content began to come, on the clock of `performance.now()`; undefined before. */
  readonly contentAt: number | undefined
}

const FIRST_DRAWN_MS = 1000
const REDRAW_MS = 100

/** Writes to standard error. Whoever watches stops before the end. */
export class FetchConsole {
  readonly #stderr: Output
  readonly #quiet: boolean
  readonly #lines: RedrawnLines
  #timer: NodeJS.Timeout | undefined

  constructor(stderr: Output, { quiet }: { readonly quiet: boolean }) {
    this.#stderr = stderr
    this.#lines = new RedrawnLines(stderr)
    this.#quiet = quiet
  }

  get isTerminal(): boolean {
    return this.#stderr.isTTY === true
  }

  /** What the user asked to see; others' text in it has to be printable. */
  lines(lines: readonly string[]): void {
    this.#lines.print(lines)
  }

  /** What is good to know; nothing with --quiet. */
  note(line: string): void {
    if (!this.#quiet) this.lines([printable(line)])
  }

  /** What went wrong. */
  error(message: string): void {
    this.lines([`ferry: ${printable(message)}`])
  }

  /** Shows progress from a second on, on a terminal. */
  watch(look: () => FetchProgress): void {
    if (this.#quiet || !this.isTerminal) return
    const startedAt = performance.now()
    const draw = (): void => {
      const now = performance.now()
      if (now - startedAt < FIRST_DRAWN_MS) return
      const { columns } = this.#lines
      this.#lines.draw(renderFetch(look(), { columns, now, startedAt }))
    }
    this.#timer = setInterval(draw, REDRAW_MS)
    this.#timer.unref()
  }

  /** Shows no more progress, and erases it. Idempotent. */
  stopWatching(): void {
    clearInterval(this.#timer)
    this.#lines.clear()
  }
}

function renderFetch(
  { name, bytes, size, contentAt }: FetchProgress,
  { columns, now, startedAt }: { columns: number; now: number; startedAt: number },
): string[] {
  if (contentAt === undefined) {
    const line = `${name}: waiting for the server, ${formatDuration(now - startedAt)}`
    return [line.slice(0, Math.max(0, columns - 1))]
  }
  const progress = {
    state: 'running',
    size,
    receivedBytes: bytes,
    resumable: false,
    resumedBytes: 0,
    bytesPerSecond: (bytes * 1000) / Math.max(1, now - contentAt),
    connections: [],
  } as const
  return renderProgress(name, progress, columns)
}

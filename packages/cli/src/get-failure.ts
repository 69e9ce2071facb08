/** How a download ends that did not go well: one line, and an exit code. Pure. */
import type { Download } from 'ferry/download'
import { type FerryError, isFerryError } from 'ferry/errors'
import { adviceFor, ENDINGS, EXIT_UNEXPECTED } from './exit-codes.ts'
import { Interruption } from './fetch-failure.ts'
import { formatBytes } from './format.ts'

/** Why a download ended without its file. */
export interface Failure {
  /** Of the download; undefined when none had begun. */
  readonly url: string | undefined
  /** What the file is called, where the URL does not tell. */
  readonly name?: string
  readonly error: FerryError | Error
  readonly code: string
  readonly exitCode: number
  readonly message: string
}

/** One line that says what was attempted and what can be done. */
export function describeFailure(error: Error, running: Download | undefined): Failure {
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
    const what = running === undefined ? '' : ` of ${running.url.label}`
    return `Interrupted before anything${what} had come.`
  }
  const { receivedBytes, size, resumable } = progress
  const of = size === undefined ? '' : ` of ${formatBytes(size)}`
  const come = `Interrupted: ${formatBytes(receivedBytes)}${of}`
  return resumable
    ? `${come} are kept in ${running.partPath}. Run the same command again to go on.`
    : `${come} had come of ${running.target}. The same command begins anew, since this server does not let a download go on.`
}

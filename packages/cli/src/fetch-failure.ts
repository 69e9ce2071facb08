/** How a fetch ends that did not go well: one line, and an exit code. Pure. */
import { constants } from 'node:os'
import { type ErrorCode, type FerryError, isFerryError } from 'ferry/errors'
import { ADVICE_IF_PROXY_ASKS, ENDINGS, EXIT_UNEXPECTED } from './exit-codes.ts'
import { formatBytes } from './format.ts'

/** A signal from outside; which one decides the exit code. */
export class Interruption extends Error {
  readonly exitCode: number

  constructor(signal: NodeJS.Signals) {
    super('Interrupted')
    // As shells have it.
    this.exitCode = 128 + constants.signals[signal]
  }
}

/** Why it did not go well. */
export interface FetchFailure {
  readonly code: ErrorCode | 'interrupted' | 'unexpected'
  readonly exitCode: number
  readonly message: string
}

/** What a fetch cannot do about a failure, or can do otherwise than a download. */
const ADVICE: Partial<Record<ErrorCode, string>> = {
  config: 'See ferry fetch --help',
  timeout: 'Try again, or allow more with --timeout SECONDS',
  'local-protocol': 'Check the method and the --header options',
  'remote-protocol':
    'Check that host and port are those of a web server; -v shows what it says up to there',
  'connection-lost': 'Try again; --retries N does so by itself where that is safe',
  'no-space': 'Make room, then try again',
  'not-writable': 'Choose another place with -o FILE',
  'disk-failed': 'Check the file and the disk',
  'size-mismatch': 'See that nothing writes to the file, then try again',
  'representation-changed': 'See that nothing replaces the file, then try again',
}
const ADVICE_IF_BINARY = 'Use -o FILE to keep it, or give it to another program with |'

/** Describes an error; `bytes` of content had come, and were to go to the file `output`. */
export function describeFailure(
  error: Error,
  { bytes, output }: { readonly bytes: number; readonly output: string | undefined },
): FetchFailure {
  if (error instanceof Interruption) {
    const come = bytes === 0 ? 'before anything had come' : `after ${formatBytes(bytes)}`
    const left =
      output === undefined ? 'The same command begins anew' : `Nothing of it is in ${output}`
    return {
      code: 'interrupted',
      exitCode: error.exitCode,
      message: `Interrupted ${come}. ${left}.`,
    }
  }
  if (isFerryError(error)) {
    const { code, message } = error
    const isBinary = code === 'config' && error.detail['option'] === 'terminal'
    const advice = isBinary ? ADVICE_IF_BINARY : adviceFor(error)
    const { exitCode } = ENDINGS[code]
    return { code, exitCode, message: `${message}. ${advice}.` }
  }
  return {
    code: 'unexpected',
    exitCode: EXIT_UNEXPECTED,
    message: `Unexpected failure: ${error.message}. Please report it, with the command that led to it.`,
  }
}

function adviceFor({ code, detail }: FerryError): string {
  const { status } = detail
  if (typeof status === 'number') return adviceForStatus(status)
  return ADVICE[code] ?? ENDINGS[code].advice
}

function adviceForStatus(status: number): string {
  if (status === 401) return 'Say who asks, with -u NAME or -H @FILE'
  if (status === 407) return ADVICE_IF_PROXY_ASKS
  if (status === 429 || status >= 500) return 'Try again later; --retries N does so by itself'
  if (status < 400) return 'Send it to the URL that Location names; -i shows it'
  return 'Check the URL, the method and what is sent'
}

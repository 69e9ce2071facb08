/** How `ferry receive` ends that did not go well: one line, and an exit code. Pure. */
import { type ErrorCode, type FerryError, isFerryError } from 'ferry/errors'
import { ENDINGS, EXIT_UNEXPECTED } from './exit-codes.ts'

/** What went wrong. */
export interface ReceiveFailure {
  readonly code: ErrorCode | 'unexpected'
  readonly exitCode: number
  readonly message: string
}

const ADVICE: Partial<Record<ErrorCode, string>> = {
  locked: 'Stop the other one, or choose another folder with --dir DIR',
  'not-writable': 'Choose another folder with --dir DIR',
  'disk-failed': 'Check the disk, or choose another with --dir DIR',
  'no-space': 'Make room, then run the same command again',
  'insufficient-storage': 'Make room, then run the same command again',
}
const ADVICE_ON_OPTION: Readonly<Record<string, string>> = {
  host: 'Give --key-file FILE; where there is no such file, it is made with a new key',
  port: 'Choose another with --port PORT or --host ADDRESS',
  'key-file': 'Choose another place for it',
  keyFile: 'See that it is yours alone (chmod 600), or name one that is not there, to have it made',
}

// Of an address, Node says its own code for the reason, and the address once more.
const NODE_REASON = /: listen E[A-Z]+: (.+) \S+$/

/** Why the command ends. */
export function describeReceiveFailure(error: Error): ReceiveFailure {
  if (isFerryError(error)) {
    const { code } = error
    const message = sentenceOf(error)
    return {
      code,
      exitCode: ENDINGS[code].exitCode,
      message: `${message}. ${adviceFor(error)}.`,
    }
  }
  return {
    code: 'unexpected',
    exitCode: EXIT_UNEXPECTED,
    message: `Unexpected failure: ${error.message}. Please report it, with the command that led to it.`,
  }
}

/** The error's own sentence, without what Node puts into it for programs. */
export function sentenceOf({ message }: FerryError): string {
  return message.replace(NODE_REASON, ': $1')
}

/** What the server could not do for a client, who is told less; the command goes on. */
export function describeServerFailure(failure: unknown): Omit<ReceiveFailure, 'exitCode'> {
  if (isFerryError(failure)) return { code: failure.code, message: failure.message }
  const reason = failure instanceof Error ? failure.message : String(failure)
  return { code: 'unexpected', message: `Unexpected failure: ${reason}` }
}

function adviceFor({ code, detail }: FerryError): string {
  if (code !== 'config') return ADVICE[code] ?? ENDINGS[code].advice
  return ADVICE_ON_OPTION[String(detail['option'])] ?? 'See ferry receive --help'
}

/** How commands on an outbox end that did not go well: one line, and an exit code. Pure. */
import { type ErrorCode, type FerryError, isFerryError } from 'ferry/errors'
import { ENDINGS, EXIT_UNEXPECTED } from './exit-codes.ts'
import { Interruption } from './fetch-failure.ts'
import { sentenceOf } from './receive-failure.ts'

/** What went wrong. */
export interface OutboxFailure {
  readonly code: ErrorCode | 'interrupted' | 'unexpected'
  readonly exitCode: number
  readonly message: string
}

const ADVICE: Partial<Record<ErrorCode, string>> = {
  locked: 'Wait for the other one, or end it, then run the same command again',
  'no-space': 'Make room, then run the same command again',
  'not-writable': 'See that the file and its folder are yours to write, or choose another place',
  'disk-failed': 'Check the file and the disk',
  'source-changed': 'Run the same command again when nothing writes to it any more',
  'outbox-unusable': 'Move the database away, then add the files again',
}

const ADVICE_ON_OPTION: Readonly<Record<string, string>> = {
  file: 'Check the path',
  path: 'Check the path',
  source: 'Check the path',
  port: 'Choose another port',
}

/**
 * Describes an error.
 * @param command whose help tells what can be said, with the name of the program
 */
export function describeOutboxFailure(error: Error, command: string): OutboxFailure {
  if (error instanceof Interruption) {
    const message = 'Interrupted. What the outbox has is kept.'
    return { code: 'interrupted', exitCode: error.exitCode, message }
  }
  if (isFerryError(error)) {
    const { code } = error
    const message = `${sentenceOf(error)}. ${adviceFor(error, command)}.`
    return { code, exitCode: ENDINGS[code].exitCode, message }
  }
  return {
    code: 'unexpected',
    exitCode: EXIT_UNEXPECTED,
    message: `Unexpected failure: ${error.message}. Please report it, with the command that led to it.`,
  }
}

function adviceFor({ code, detail }: FerryError, command: string): string {
  if (code !== 'config') return ADVICE[code] ?? ENDINGS[code].advice
  return ADVICE_ON_OPTION[String(detail['option'])] ?? `See ${command} --help`
}

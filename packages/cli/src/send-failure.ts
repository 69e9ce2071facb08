/** How sending ends that did not go well: one line, and an exit code. Pure. */
import { type ErrorCode, type FerryError, HttpStatusError, isFerryError } from 'ferry/errors'
import type { UploadProgress } from 'ferry/upload'
import { ADVICE_IF_PROXY_ASKS, ENDINGS, EXIT_UNEXPECTED } from './exit-codes.ts'
import { Interruption } from './fetch-failure.ts'
import { formatBytes } from './format.ts'
import type { Failure } from './get-failure.ts'

/** What was to be sent. */
export interface FailedSend {
  readonly url: string
  readonly name: string
  /** How far it was; undefined when it had not begun. */
  readonly progress: UploadProgress | undefined
  /** How it is gone on with, as a sentence without a full stop. */
  readonly goOn: string
}

/** What the command says otherwise than others that send. */
export interface SendWords {
  /** As it is called: `ferry put`. */
  readonly command: string
  /** What the user can do, by what went wrong; sentences without a full stop. */
  readonly advice?: Partial<Record<ErrorCode, string>>
}

// Longer ones are meant for browsers.
const MAX_WORDS = 300
const CHECK_URL = 'Check the URL: it has to be the one where the server takes uploads'

/** What can be done before it is gone on with. */
const FIRST: Partial<Record<ErrorCode, string>> = {
  'resolve-failed': 'Check the name in the URL, and the network',
  'connect-failed': 'Check that the server runs and the port is right',
  timeout: 'Allow more with --timeout SECONDS, or wait for the server',
  'checksum-mismatch': 'Something on the way damages what is sent; see to that',
  'digest-mismatch': 'Something on the way damages what is sent; see to that',
}

/** What can be done about all else, where that is another thing than for other commands. */
const ADVICE: Partial<Record<ErrorCode, string>> = {
  'local-protocol': 'Check the --header options',
  'remote-protocol': CHECK_URL,
  'source-changed': 'Run the same command again, which sends the file as it is now',
  'target-exists': 'Send it under another name with --name NAME',
  locked: 'Wait for the other one to end',
  'delivery-in-doubt':
    'Look at the file at the server; --on-doubt resend sends the piece again, which may double it',
  'outbox-unusable': 'Move the database away, or use another with --outbox FILE',
  'no-space': 'Make room, or choose another place with --outbox FILE',
  'not-writable': 'Choose another place for the outbox with --outbox FILE',
  'disk-failed': 'Check the file and the disk',
}

/** Describes an error; `failed` is undefined when it concerns no file, or all of them. */
export function describeSendFailure(
  error: Error,
  failed: FailedSend | undefined,
  words: SendWords,
): Failure {
  const about = failed === undefined ? { url: undefined } : { url: failed.url, name: failed.name }
  if (error instanceof Interruption) {
    const message = describeInterruption(failed)
    return { ...about, error, code: 'interrupted', exitCode: error.exitCode, message }
  }
  if (isFerryError(error)) {
    const { code } = error
    const what = nameIn(error.message, failed) + wordsOfServer(error)
    const message = `${what}. ${adviceFor(error, failed, words)}.`
    return { ...about, error, code, exitCode: ENDINGS[code].exitCode, message }
  }
  return {
    ...about,
    error,
    code: 'unexpected',
    exitCode: EXIT_UNEXPECTED,
    message: `Unexpected failure: ${error.message}. Please report it, with the command that led to it.`,
  }
}

// RFC 9110 §15.5.9, RFC 4918 §11.3, RFC 8470 §5.2, RFC 6585 §4
const PASSING_STATUSES: readonly number[] = [408, 423, 425, 429]
const REFUSALS: ReadonlySet<ErrorCode> = new Set([
  'config',
  'local-protocol',
  'remote-protocol',
  'target-exists',
])

/** Whether it stays so until somebody changes something: time alone does not heal it. */
export function isRefusal(error: Error): boolean {
  if (!isFerryError(error)) return false
  const { status } = error.detail
  if (typeof status !== 'number') return REFUSALS.has(error.code)
  return status < 500 && !PASSING_STATUSES.includes(status)
}

/** Errors of the network name requests, not files. */
function nameIn(message: string, failed: FailedSend | undefined): string {
  if (failed === undefined || isNamedIn(message, failed.name)) return message
  return `${failed.name}: ${message}`
}

/** As a word of its own: a file may be called "a". */
function isNamedIn(message: string, name: string): boolean {
  if (name === '') return true
  for (let at = message.indexOf(name); at !== -1; at = message.indexOf(name, at + 1)) {
    const before = message[at - 1] ?? ' '
    const after = message[at + name.length] ?? ' '
    if (/[\s"/]/.test(before) && /[\s":]/.test(after)) return true
  }
  return false
}

/** What the server says of its refusal, where that is a line for people. */
function wordsOfServer(error: FerryError): string {
  if (!(error instanceof HttpStatusError)) return ''
  const [text = ''] = sentenceIn(error.excerpt?.trim() ?? '').split(/\r?\n/)
  const isLine = text !== '' && text.length <= MAX_WORDS && !text.startsWith('<')
  return isLine && text !== error.statusText ? `, and says ${text.replace(/\.$/, '')}` : ''
}

/** Some say it in JSON, under one of these names. */
function sentenceIn(text: string): string {
  if (!text.startsWith('{')) return text
  try {
    const { message, detail, error } = JSON.parse(text) as Record<string, unknown>
    const said = [message, detail, error].find((one) => typeof one === 'string')
    return said ?? text
  } catch {
    return text
  }
}

function describeInterruption(failed: FailedSend | undefined): string {
  if (failed === undefined) return 'Interrupted before anything was sent.'
  const { progress, name, goOn } = failed
  const bytes = progress === undefined ? 0 : sentBytesOf(progress)
  if (bytes === 0) return `Interrupted before anything of ${name} was sent. ${goOn}.`
  const all = progress?.size === undefined ? '' : ` of ${formatBytes(progress.size)}`
  return `Interrupted when ${formatBytes(bytes)}${all} of ${name} were sent. ${goOn}.`
}

/** With what had been on its way when it ended, which the server has, or does not. */
function sentBytesOf(progress: UploadProgress): number {
  const { size, acknowledgedBytes, resumedBytes, transmittedBytes } = progress
  const sent = Math.max(acknowledgedBytes, resumedBytes + transmittedBytes)
  return Math.min(sent, size ?? sent)
}

function adviceFor(
  error: FerryError,
  failed: FailedSend | undefined,
  { command, advice = {} }: SendWords,
): string {
  const { code, detail } = error
  const { status } = detail
  if (typeof status === 'number') return adviceForStatus(status, failed)
  if (code === 'config') return adviceForOption(detail['option'], command)
  const first = FIRST[code]
  const goOn = failed?.goOn
  if (first !== undefined) return goOn === undefined ? first : `${first}. ${goOn}`
  if (code === 'connection-lost' && goOn !== undefined) return goOn
  return advice[code] ?? ADVICE[code] ?? ENDINGS[code].advice
}

function adviceForOption(option: unknown, command: string): string {
  if (option === 'file' || option === 'source') return 'Check the path'
  if (option === 'protocol') return 'Check the URL; --protocol NAME says what is spoken there'
  return `See ${command} --help`
}

function adviceForStatus(status: number, failed: FailedSend | undefined): string {
  const then = failed === undefined ? '' : `. ${failed.goOn}`
  if (status === 401) {
    return 'Check the key, or say who asks, with INDEXCP_API_KEY, --key-file FILE, -u NAME or -H @FILE'
  }
  if (status === 403) return 'Check the key, and whether it may upload there'
  if (status === 407) return ADVICE_IF_PROXY_ASKS
  if (status === 413) return 'The server takes no file as large; ask its operator to allow more'
  if (status === 507) return `The server has no room; see to that${then}`
  if (status === 409 || status === 412) return 'Send it under another name with --name NAME'
  if (status === 429 || status >= 500) return `Wait for the server${then}`
  return CHECK_URL
}

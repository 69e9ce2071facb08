/** The exit code and the advice for each kind of failure: one table, told by `ferry get --help`. */
import type { ErrorCode, FerryError } from 'ferry/errors'

/** What the shell is told. */
export const EXIT_OK = 0
export const EXIT_UNEXPECTED = 1

/** How one kind of failure ends. */
export interface Ending {
  readonly exitCode: number
  /** What the user can do, as a sentence without a full stop. */
  readonly advice: string
  /** The same where a next run cannot go on with what has come. */
  readonly adviceAnew?: string
}

const RUN_ANEW = 'Run the same command again, which begins anew'

export const ENDINGS: Readonly<Record<ErrorCode, Ending>> = {
  config: { exitCode: 2, advice: 'See ferry get --help' },
  'resolve-failed': { exitCode: 3, advice: 'Check the name in the URL, and the network' },
  'connect-failed': { exitCode: 4, advice: 'Check that the server runs and the port is right' },
  'proxy-failed': {
    exitCode: 4,
    advice:
      'Check the proxy, set by --proxy or by HTTP_PROXY, HTTPS_PROXY, ALL_PROXY; NO_PROXY goes past it',
  },
  'tls-failed': {
    exitCode: 5,
    advice:
      'Check host and port in the URL; trust its authority with --cacert FILE, or check nothing with --insecure',
  },
  timeout: {
    exitCode: 6,
    advice: 'Run the same command again to go on, or allow more with --timeout SECONDS',
    adviceAnew: `${RUN_ANEW}, or allow more with --timeout SECONDS`,
  },
  'queue-full': { exitCode: 6, advice: 'Run the same command again later' },
  'local-protocol': { exitCode: 7, advice: 'Check the --header options' },
  'remote-protocol': { exitCode: 7, advice: 'The server is at fault; try another source' },
  'http-status': { exitCode: 8, advice: 'Check the URL, and whether it asks for credentials' },
  'connection-lost': {
    exitCode: 9,
    advice: 'Run the same command again to go on',
    adviceAnew: RUN_ANEW,
  },
  'representation-changed': {
    exitCode: 10,
    advice: 'Use --on-change restart to discard what is here, or -o for another name',
  },
  'checksum-mismatch': {
    exitCode: 11,
    advice: 'Check the digest; if it is right, use --fresh to fetch the file again',
  },
  'size-mismatch': { exitCode: 12, advice: 'Use --fresh to fetch the file again' },
  'target-exists': {
    exitCode: 13,
    advice:
      'Use --on-exists rename or overwrite, --fresh to discard a partial one, or -o for another name',
  },
  'too-large': { exitCode: 12, advice: 'Allow more with --max-size SIZE' },
  'no-space': {
    exitCode: 14,
    advice: 'Make room, then run the same command again to go on',
    adviceAnew: 'Make room, then run the same command again, which begins anew',
  },
  'not-writable': { exitCode: 15, advice: 'Choose another place with -d DIR or -o FILE' },
  'disk-failed': { exitCode: 15, advice: 'Check the disk, or choose another with -d DIR' },
  locked: { exitCode: 16, advice: 'Wait for it, or choose another name with -o FILE' },
  'source-changed': { exitCode: 10, advice: 'Add the file again' },
  'delivery-in-doubt': {
    exitCode: 21,
    advice: 'Look at the file at the server, then send what it lacks or begin anew',
  },
  'outbox-unusable': {
    exitCode: 15,
    advice: 'Move the database away, then add the files again',
  },
  'range-mismatch': {
    exitCode: 17,
    advice: 'Use -x 1 --fresh, which asks the server for no parts',
  },
  'upload-not-found': { exitCode: 18, advice: 'Begin the upload anew' },
  'upload-expired': { exitCode: 18, advice: 'Begin the upload anew' },
  'upload-complete': { exitCode: 19, advice: 'Nothing is left to be sent' },
  'upload-incomplete': { exitCode: 19, advice: 'Send what is missing first' },
  'upload-is-part': { exitCode: 19, advice: 'Put the parts together to a new upload' },
  'upload-lost': { exitCode: 18, advice: 'Begin the upload anew' },
  'upload-interrupted': { exitCode: 9, advice: 'Go on from where the server says it is' },
  'upload-too-large': { exitCode: 20, advice: 'Allow more at the server' },
  'offset-mismatch': { exitCode: 19, advice: 'Go on from where the server says it is' },
  'length-mismatch': { exitCode: 12, advice: 'Begin the upload anew' },
  'content-mismatch': { exitCode: 10, advice: 'Begin the upload anew' },
  'digest-mismatch': { exitCode: 11, advice: 'Check the digest, then begin the upload anew' },
  'digest-unsupported': { exitCode: 2, advice: 'Use sha256 or sha512' },
  'quota-exceeded': { exitCode: 20, advice: 'Finish or cancel other uploads first' },
  'insufficient-storage': { exitCode: 14, advice: 'Make room at the server' },
  'name-refused': { exitCode: 15, advice: 'Choose another name' },
}

const PROXY_AUTHENTICATION_REQUIRED = 407
// What the facts beside an error tell more exactly than its code.
const ADVICE_IF_CODED =
  'The server gives this file only coded, and Ferry keeps files as they are; ask its operator, or try another source'
export const ADVICE_IF_PROXY_ASKS =
  'The proxy wants to know who asks: give user and password in its URL, http://USER:PASSWORD@HOST:PORT'
const ADVICE_IF_REPLACED = 'See that nothing else writes there, then run the same command again'

/** What the user can do about an error, as a sentence without a full stop. */
export function adviceFor(
  { code, detail }: FerryError,
  { resumable }: { readonly resumable: boolean },
): string {
  if (detail['contentCoding'] !== undefined) return ADVICE_IF_CODED
  if (detail['replaced'] === true) return ADVICE_IF_REPLACED
  if (detail['status'] === PROXY_AUTHENTICATION_REQUIRED) return ADVICE_IF_PROXY_ASKS
  const { advice, adviceAnew = advice } = ENDINGS[code]
  return resumable ? advice : adviceAnew
}

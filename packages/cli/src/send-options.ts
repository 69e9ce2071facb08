/** The options of every command that sends files. Loads nothing else, so that help comes at once. */
import { type Command, Option } from 'commander'
import { collect, parseCount } from './option-values.ts'

const MAX_PARALLEL = 64
const MAX_FILES = 64

/** The options as commander gives them. */
export interface SendOptions {
  readonly protocol?: SendProtocol
  readonly checksum?: true
  readonly onDoubt: 'stop' | 'resend'
  readonly files: number
  readonly parallel?: number
  readonly chunkSize?: string
  readonly limitRate?: string
  readonly retries: number
  readonly offline?: 'wait' | 'fail'
  readonly key?: string
  readonly keyFile?: string
  readonly user?: string
  readonly header?: readonly string[]
  readonly timeout: number
  readonly proxy?: string
  readonly http2?: true
  readonly cacert?: string
  readonly cert?: string
  readonly certKey?: string
  readonly insecure?: true
  readonly outbox?: string
  readonly json?: true
  readonly quiet?: true
}

type SendProtocol = 'indexedcp' | 'tus' | 'ietf'

/** What helps of commands that send say of secrets. */
export const SECRETS_HELP = `Secrets: process lists show command lines, and --key with them. Keep the key in the variable
INDEXCP_API_KEY or in a file that only you can read (--key-file FILE), fields in another (-H @FILE);
without them you are asked for the key where the server wants one. They go to that server alone, and
are not kept in the outbox.`

/** The exit codes of commands that send, for their help. */
export const EXIT_CODES_HELP = `Exit codes:
  0 everything is delivered       7 broken HTTP                       14 no space left
  1 unexpected failure            8 the server refused (HTTP status)  15 cannot read or write there
  2 unusable option, file or URL  9 connection lost                   16 another ferry sends it
  3 host not found               10 the file changed meanwhile        18 the server has lost it
  4 no connection                11 arrived damaged                   20 too large for the server
  5 TLS not trusted              13 the server has another of that    21 nobody knows what arrived
  6 too slow                        name                             130 interrupted; can be resumed`

/** Adds the options, in groups. */
export function addSendOptions(command: Command): void {
  addSpeechOptions(command)
  addSpeedOptions(command)
  addIdentityOptions(command)
  addConnectionOptions(command)
  command
    .optionsGroup('Output:')
    .option('--json', 'print events as JSON, one a line')
    .option('-q, --quiet', 'print nothing but errors')
    .optionsGroup('Options:')
}

/** Adds the option that says which outbox is used. */
export function addOutboxOption(command: Command): void {
  command.option('--outbox <file>', 'its database (default: ~/.indexcp/ferry.db)')
}

function addSpeechOptions(command: Command): void {
  command
    .optionsGroup('What the server takes:')
    .addOption(
      new Option('--protocol <name>', 'default: what the server says it speaks').choices([
        'indexedcp',
        'tus',
        'ietf',
      ]),
    )
    .option('--checksum', 'send digests, too, which the server checks what comes against')
    .addOption(
      new Option(
        '--on-doubt <choice>',
        'when nobody can tell whether a piece has arrived; resend may double it',
      )
        .choices(['stop', 'resend'])
        .default('stop'),
    )
}

function addSpeedOptions(command: Command): void {
  command
    .optionsGroup('How fast:')
    .option('--files <count>', 'files at once', parseCount(1, MAX_FILES), 4)
    .option(
      '--parallel <count>',
      'parts of a file at once, where the server can (default: 4 by IndexedCP, else 1)',
      parseCount(1, MAX_PARALLEL),
    )
    .option('--chunk-size <size>', 'most bytes of a request; like 512K or 8M')
    .option('--limit-rate <rate>', 'bytes per second at most, all together; like 500K or 2M')
    .option('--retries <count>', 'tries in a row that may bring nothing', parseCount(0, 1000), 5)
    .addOption(
      new Option(
        '--offline <choice>',
        'while the server cannot be reached (default: wait once it has been, else fail)',
      ).choices(['wait', 'fail']),
    )
}

function addIdentityOptions(command: Command): void {
  command
    .optionsGroup('Who is asking:')
    .option('--key-file <file>', 'API key, from its first line; default: INDEXCP_API_KEY')
    .addOption(
      new Option('--key <key>', 'the same, which others see in lists of processes').conflicts([
        'keyFile',
        'user',
      ]),
    )
    .addOption(
      new Option(
        '-u, --user <name>',
        'asks for the password; NAME:PASSWORD; @FILE holds such a line',
      ).conflicts(['keyFile', 'key']),
    )
    .option('-H, --header <field>', '"Name: value"; @FILE reads fields from a file', collect)
}

function addConnectionOptions(command: Command): void {
  command
    .optionsGroup('Connection:')
    .option('--timeout <seconds>', 'how long the server may stand still', parseCount(1, 86_400), 60)
    .option('--proxy <url>', 'http, https, socks5, socks5h; "none"; default: the environment')
    .option('--http2', 'HTTP/2 where the server agrees: one connection for all')
    .option('--cacert <file>', 'PEM certificates to trust instead of the system’s')
    .option('--cert <file>', 'PEM certificate to show, with its chain')
    .option('--cert-key <file>', 'its private key; default: in the same file')
    .option('-k, --insecure', 'trust any certificate')
}

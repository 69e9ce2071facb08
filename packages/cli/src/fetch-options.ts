/** The options of `ferry fetch` and its help. Loads nothing else, so that help comes at once. */
import { type Command, Option } from 'commander'
import { collect, parseCount } from './option-values.ts'

/** The options as commander gives them. */
export interface FetchOptions {
  readonly method?: string
  readonly header?: readonly string[]
  readonly user?: string
  readonly json?: string
  readonly form?: readonly string[]
  readonly multipart?: true
  readonly data?: string
  readonly dataRaw?: string
  readonly include?: true
  readonly head?: true
  /** Undefined for standard output. */
  readonly output?: string | undefined
  /** Undefined when neither --fail nor --no-fail was said. */
  readonly fail?: boolean
  readonly raw?: true
  readonly color: ColorChoice
  readonly follow: boolean
  readonly maxRedirects: number
  readonly retries: number
  readonly timeout: number
  readonly proxy?: string
  readonly http1?: true
  readonly http2?: true
  readonly http2PriorKnowledge?: true
  readonly cacert?: string
  readonly cert?: string
  readonly key?: string
  readonly insecure?: true
  readonly cookieJar?: string
  readonly timing?: true
  readonly report?: string
  readonly verbose?: true
  readonly quiet?: true
}

/** always: as on a terminal, wherever it goes */
export type ColorChoice = 'auto' | 'always' | 'never'

const FETCH_HELP = `
Examples:
  $ ferry fetch https://api.example.org/items            JSON is indented on a terminal
  $ ferry fetch --json '{"name": "x"}' https://api.example.org/items     POST, since there is content
  $ ferry fetch -X PUT --json @item.json https://api.example.org/items/7
  $ ferry fetch --form name=x --form photo=@me.jpg https://example.org/upload
  $ make-report | ferry fetch --data @- -H 'Content-Type: text/csv' https://example.org/reports
  $ ferry fetch -u alice https://example.org/private     asks for the password
  $ ferry fetch -H @token.txt https://example.org/private
  $ ferry fetch --timing -o page.html https://example.org/
  $ ferry fetch -i --no-follow http://example.org/old    status and fields first

Secrets: process lists show command lines. Keep fields in a file (-H @FILE), a user with the
password in another (-u @FILE), or the password in the variable FERRY_PASSWORD.

A status of 400 or more ends with exit code 8; what the server says about it is printed all the same.

Exit codes:
  0 done                       5 TLS not trusted      14 no space left
  1 unexpected failure         6 too slow             15 cannot write there
  2 unusable option or URL     7 broken HTTP         130 interrupted
  3 host not found             8 status 400 or more
  4 no connection, no proxy    9 connection lost`

/** Adds the command; `run` is called with what was said. */
export function addFetchCommand(
  program: Command,
  run: (url: string, options: FetchOptions) => Promise<void>,
): Command {
  const command = program
    .command('fetch')
    .description('send one request and print what comes back')
    .argument('<url>', 'http:// or https:// URL')
  addRequestOptions(command)
  addContentOptions(command)
  addOutputOptions(command)
  addConnectionOptions(command)
  return command.addHelpText('after', FETCH_HELP).action(run)
}

function addRequestOptions(command: Command): void {
  command
    .optionsGroup('Request:')
    .option('-X, --method <method>', 'default: GET, and POST when there is content')
    .addOption(
      new Option('-I, --head', 'ask for the head alone, and print it').conflicts([
        'method',
        'output',
      ]),
    )
    .option('-H, --header <field>', '"Name: value"; @FILE reads fields from a file', collect)
    .option('-u, --user <name>', 'asks for the password; NAME:PASSWORD; @FILE holds such a line')
    .option('--cookie-jar <file>', 'cookies to send; those that come are kept there')
    .option('--no-follow', 'give a redirection itself')
    .option('--max-redirects <count>', 'redirections to follow', parseCount(0, 1000), 10)
    .option('--retries <count>', 'further tries if it fails', parseCount(0, 1000), 0)
    .option(
      '--timeout <seconds>',
      'how long the server may stand still; 0 for ever',
      parseCount(0, 86_400),
      30,
    )
}

function addContentOptions(command: Command): void {
  const kinds = { json: 'json', form: 'form', data: 'data', dataRaw: 'dataRaw' }
  const add = (name: keyof typeof kinds, option: Option): void => {
    const others = Object.keys(kinds).filter((kind) => kind !== name)
    command.addOption(option.conflicts([...others, 'head']))
  }
  command.optionsGroup('Content to send (@FILE reads a file, @- standard input):')
  add('json', new Option('--json <text>', 'JSON; text is checked before it is sent'))
  add(
    'form',
    new Option('-F, --form <name=value>', 'a field of a form; NAME=@FILE adds a file').argParser(
      collect,
    ),
  )
  command.addOption(
    new Option(
      '--multipart',
      'send the form as multipart/form-data, even without a file',
    ).conflicts(['json', 'data', 'dataRaw']),
  )
  add('data', new Option('-d, --data <text>', 'bytes as they are'))
  add('dataRaw', new Option('--data-raw <text>', 'the same, but a first @ means nothing'))
}

function addOutputOptions(command: Command): void {
  command
    .optionsGroup('Output:')
    .option('-i, --include', 'print status and fields before the content')
    .option('-o, --output <file>', 'write the content to a file, once all of it is here')
    .option('-f, --fail', 'at a status of 400 or more print no content')
    .option('--no-fail', 'end with 0 whatever the status')
    .option('--raw', 'content as it came: not decompressed, not indented')
    .option('--compressed', 'ask for compressed content; the default')
    .addOption(
      new Option('--color <when>', 'indent and colour JSON')
        .choices(['auto', 'always', 'never'])
        .default('auto'),
    )
    .option('--timing', 'show how long each step took')
    .option('--report <file>', 'write what happened as JSON; - for standard error')
    .option('-v, --verbose', 'show heads of requests and responses, secrets left out')
    .option('-q, --quiet', 'show nothing but content and errors')
}

function addConnectionOptions(command: Command): void {
  command
    .optionsGroup('Connection:')
    .option('--proxy <url>', 'http, https, socks5, socks5h; "none"; default: the environment')
    .addOption(new Option('--http1', 'speak HTTP/1.1').conflicts(['http2', 'http2PriorKnowledge']))
    .addOption(
      new Option('--http2', 'HTTP/2 where a TLS server agrees; the default').conflicts([
        'http1',
        'http2PriorKnowledge',
      ]),
    )
    .option('--http2-prior-knowledge', 'HTTP/2 at once, without TLS too')
    .option('--cacert <file>', 'PEM certificates to trust instead of the system’s')
    .option('--cert <file>', 'PEM certificate to show, with its chain')
    .option('--key <file>', 'its private key; default: in the same file')
    .option('-k, --insecure', 'trust any certificate')
    .optionsGroup('Options:')
}

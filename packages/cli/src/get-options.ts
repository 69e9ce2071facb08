/** The options of `ferry get` and its help. Loads nothing else, so that help comes at once. */
import { type Command, Option } from 'commander'
import { collect, parseCount } from './option-values.ts'

const MAX_CONNECTIONS = 64
const MAX_PARALLEL = 64

/** The options as commander gives them. */
export interface GetOptions {
  readonly input?: string
  readonly expand?: true
  readonly mirror?: readonly string[]
  readonly trustMirrors?: true
  readonly findMirrors?: true
  /** False with --no-metalink. */
  readonly metalink: boolean
  readonly output?: string
  readonly dir?: string
  readonly onExists: ExistsChoice
  readonly overwrite?: true
  readonly ifNewer?: true
  readonly remoteTime?: true
  readonly executable?: true
  readonly allocation: 'sparse' | 'reserved'
  readonly checksum?: readonly string[]
  readonly checksums?: string
  readonly maxSize?: string
  readonly onChange: 'restart' | 'fail'
  readonly fresh?: true
  readonly connections: number
  readonly parallel: number
  readonly maxPerHost?: number
  readonly limitRate?: string
  readonly limitEach?: string
  readonly retries: number
  readonly header?: readonly string[]
  readonly userAgent?: string
  readonly referer?: string
  readonly user?: string
  readonly netrc?: true
  readonly netrcFile?: string
  readonly cookies?: string
  readonly timeout: number
  readonly maxRedirects: number
  readonly proxy?: string
  readonly http2?: true
  readonly cacert?: string
  readonly cert?: string
  readonly key?: string
  readonly insecure?: true
  readonly stats?: string
  readonly json?: true
  readonly quiet?: true
}

/** What becomes of a file that is there already. */
export type ExistsChoice = 'fail' | 'overwrite' | 'skip' | 'rename'

const GET_HELP = `
Examples:
  $ ferry get https://example.org/image.iso
  $ ferry get -x 4 -d ~/Downloads https://example.org/image.iso
  $ ferry get --checksum sha256=9f86d0… -o image.iso https://example.org/latest
  $ ferry get --checksums https://example.org/SHA256SUMS https://example.org/image.iso
  $ ferry get --mirror https://mirror.example/image.iso https://example.org/image.iso
  $ ferry get https://example.org/image.iso.meta4        mirrors and digests from a Metalink
  $ ferry get -j 8 --expand 'https://example.org/{cover,page[01-42]}.png'
  $ ferry get -i list.txt --limit-rate 2M                what aria2 -i reads, options and all
  $ ferry get --if-newer https://example.org/data.csv    again only when it has changed
  $ ferry get --header @token.txt https://example.org/private.tar
  $ ferry get --stats speed.svg https://example.org/image.iso

An interrupted download, however it ended, goes on when the same command is run again; it begins
anew where the server gives no ranges. While it runs, its bytes are in FILE.part; FILE itself appears
at once and whole.

Secrets: process lists show command lines. Keep fields in a file (-H @FILE), a user with the
password in another (-u @FILE), in ~/.netrc (--netrc), or the password in FERRY_PASSWORD. They go to
the hosts of the URLs that you give, and not to mirrors.

Exit codes:
  0 all files are there, whole    8 the server refused (HTTP status)  14 no space left
  1 unexpected failure            9 connection lost                   15 cannot write there
  2 unusable option or URL       10 the file changed at the server    16 another ferry writes it
  3 host not found               11 wrong checksum                    17 wrong range from server
  4 no connection                12 wrong size, or too large         130 interrupted; can be
  5 TLS not trusted              13 a file of that name exists           resumed
  6 too slow                      7 broken HTTP`

/** Adds the command; `run` is called with what was said. */
export function addGetCommand(
  program: Command,
  run: (urls: string[], options: GetOptions) => Promise<void>,
): Command {
  const command = program
    .command('get')
    .description('download files, over several connections where that helps; resumes by itself')
    .argument(
      '[url...]',
      'http:// or https:// URLs, each a file, and Metalinks (.meta4, .metalink)',
    )
  addSourceOptions(command)
  addTargetOptions(command)
  addProofOptions(command)
  addSpeedOptions(command)
  addRequestOptions(command)
  addConnectionOptions(command)
  addOutputOptions(command)
  return command
    .addHelpText('after', GET_HELP)
    .action(async (urls: string[], options: GetOptions) => {
      if (urls.length === 0 && options.input === undefined) {
        command.error("error: missing required argument 'url'")
      }
      await run(urls, options)
    })
}

function addSourceOptions(command: Command): void {
  command
    .optionsGroup('What to fetch:')
    .option(
      '-i, --input <file>',
      "list of URLs with options, in aria2's form; - for standard input",
    )
    .option('--expand', 'take {a,b}, [1-20] and [a-z] in URLs for several of them')
    .option('--mirror <url>', 'another place that has the same file; repeatable', collect)
    .option('--trust-mirrors', 'take a file of the same size for the same file')
    .option('--find-mirrors', 'ask the server for mirrors first (Metalink/HTTP)')
    .option('--no-metalink', 'take Metalinks for files like any other')
}

function addTargetOptions(command: Command): void {
  command
    .optionsGroup('Where it goes:')
    .option('-o, --output <file>', 'name of the file (default: as the server or the URL says)')
    .option('-d, --dir <dir>', 'folder for the files; made if it is not there')
    .addOption(
      new Option('--on-exists <choice>', 'when a file of that name is there')
        .choices(['fail', 'overwrite', 'skip', 'rename'])
        .default('fail')
        .conflicts('overwrite'),
    )
    .option('--overwrite', 'short for --on-exists overwrite')
    .addOption(
      new Option(
        '--if-newer',
        'replace the file that is there, if the server has a newer one',
      ).conflicts(['onExists', 'overwrite']),
    )
    .option('--remote-time', "give the file the server's time")
    .option('--executable', 'let its owner execute the file')
    .addOption(
      new Option('--allocation <kind>', 'reserved: take the space on the disk at once')
        .choices(['sparse', 'reserved'])
        .default('sparse'),
    )
}

function addProofOptions(command: Command): void {
  command
    .optionsGroup('Whether it is right:')
    .option(
      '--checksum <algorithm=digest>',
      'digest that the file must have: sha256=…, sha512=…, sha1=…, md5=…, blake3=…; repeatable',
      collect,
    )
    .option('--checksums <file>', 'list of digests, such as SHA256SUMS: a file or a URL')
    .option('--max-size <size>', 'refuse larger files; like 500M or 2G')
    .addOption(
      new Option('--on-change <policy>', 'when the file at the server is another one than before')
        .choices(['restart', 'fail'])
        .default('restart'),
    )
    .option('--fresh', 'discard what an earlier run has left')
}

function addSpeedOptions(command: Command): void {
  command
    .optionsGroup('How fast:')
    .option(
      '-x, --connections <count>',
      'most connections for a file',
      parseCount(1, MAX_CONNECTIONS),
      8,
    )
    .option('-j, --parallel <count>', 'files at once', parseCount(1, MAX_PARALLEL), 4)
    .option(
      '--max-per-host <count>',
      'most connections to a host, all files together (default: 16)',
      parseCount(1, MAX_CONNECTIONS),
    )
    .option('--limit-rate <rate>', 'bytes per second at most, all together; like 500K or 2M')
    .option('--limit-each <rate>', 'the same for each file')
    .option('--retries <count>', 'tries in a row that may bring nothing', parseCount(0, 1000), 5)
}

function addRequestOptions(command: Command): void {
  command
    .optionsGroup('Request:')
    .option('-H, --header <field>', '"Name: value"; @FILE reads fields from a file', collect)
    .option('-A, --user-agent <text>', 'what the program says it is')
    .option('-e, --referer <url>', 'where the URL was found')
    .option('-u, --user <name>', 'asks for the password; NAME:PASSWORD; @FILE holds such a line')
    .option('-n, --netrc', 'users and passwords from ~/.netrc')
    .option('--netrc-file <file>', 'from this file')
    .option('-b, --cookies <file>', "cookies to send, in the form of curl's")
    .option('--max-redirects <count>', 'redirections to follow', parseCount(0, 1000), 10)
}

function addConnectionOptions(command: Command): void {
  command
    .optionsGroup('Connection:')
    .option('--timeout <seconds>', 'how long the server may stand still', parseCount(1, 86_400), 30)
    .option('--proxy <url>', 'http, https, socks5, socks5h; "none"; default: the environment')
    .option('--http2', 'HTTP/2 where the server agrees: one connection for all')
    .option('--cacert <file>', 'PEM certificates to trust instead of the system’s')
    .option('--cert <file>', 'PEM certificate to show, with its chain')
    .option('--key <file>', 'its private key; default: in the same file')
    .option('-k, --insecure', 'trust any certificate')
}

function addOutputOptions(command: Command): void {
  command
    .optionsGroup('Output:')
    .option('--stats <file>', 'write a figure of speed and connections over time (SVG)')
    .option('--json', 'print events as JSON, one a line')
    .option('-q, --quiet', 'print nothing but errors')
    .optionsGroup('Options:')
}

/** The options of `ferry receive` and its help. Loads nothing else, so that help comes at once. */
import { type Command, Option } from 'commander'
import { collect, parseCount } from './option-values.ts'

/** The options as commander gives them. */
export interface ReceiveOptions {
  readonly dir: string
  readonly onExists: 'rename' | 'overwrite' | 'fail'
  readonly pathMode: PathModeChoice
  readonly maxSize?: string
  readonly maxUploads: number
  readonly maxPerKey?: number
  readonly quota?: string
  readonly reserve?: string
  readonly expire: string
  readonly finishAfter: string
  readonly ack: 'durable' | 'written' | 'memory'
  readonly port: number
  readonly host: string
  readonly mount?: string
  readonly doors?: string
  readonly keyFile?: string
  readonly cors?: readonly string[]
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly timeout: number
  readonly minRate?: string
  readonly limitRate?: string
  readonly maxRequests?: number
  readonly maxConnections?: number
  readonly encryption?: true
  readonly json?: true
  readonly quiet?: true
}

/** What becomes of the folders in a name that a client gives. */
export type PathModeChoice = 'ignore' | 'sanitize' | 'allow-paths'

/** What is done to the keys in a file. */
export type KeyAction = { readonly keyFile: string } & (
  | { readonly type: 'add'; readonly owner: string; readonly rights: KeyRights }
  | { readonly type: 'list' }
  | { readonly type: 'remove'; readonly which: string }
)

/** What a key may do, in the words of a key file. */
export interface KeyRights {
  readonly scope?: string
  readonly door?: string
  readonly folder?: string
}

const MAX_PORT = 65_535

const RECEIVE_HELP = `
Examples:
  $ ferry receive                                        into this folder, from this machine
  $ ferry receive -d ~/inbox --port 8080 --key-file keys
  $ ferry receive -d ~/inbox --host 0.0.0.0 --key-file keys --tls-cert cert.pem --tls-key key.pem
  $ ferry receive --max-size 2G --expire 3d --cors https://app.example
  $ ferry receive keys add alice --key-file keys         prints a new key, once

Clients, with what is printed at the start as the address:
  $ curl -T photo.jpg -H 'Upload-Complete: ?1' http://127.0.0.1:3000/files/
  $ curl --data-binary @photo.jpg -H 'X-Chunk-Index: 0' -H 'X-File-Name: photo.jpg' \\
      -H 'Content-Type: application/octet-stream' http://127.0.0.1:3000/upload
  tus clients (tus-js-client, Uppy, tuspy) take http://127.0.0.1:3000/files as their endpoint.

An upload is in DIR/.ferry until it is whole; then its file appears in DIR at once. Whatever ends the
server, its clients go on where they were when it runs again: the same command, the same port.

Keys: with --key-file, clients send "Authorization: Bearer KEY". Where there is no such file, one is
made that only you can read, with a new key in it. Owners of keys see only their own uploads. Other
machines are let in (--host) only with keys; without --tls-cert, put a server with TLS before it.
A change of the file counts within seconds.

Ctrl-C or SIGTERM: what is on its way is kept and told, exit code 0. A second one ends at once.

Exit codes:
  0 stopped as asked            14 no space left        16 another ferry receives into the folder
  1 unexpected failure          15 cannot write there  130 stopped at once, by a second Ctrl-C
  2 unusable option, key file, certificate or address`

/** Adds the command; `run` is called with what was said, `runKeys` where it was about keys. */
export function addReceiveCommand(
  program: Command,
  run: (options: ReceiveOptions) => Promise<void>,
  runKeys: (action: KeyAction) => Promise<void>,
): Command {
  const command = program
    .command('receive')
    .enablePositionalOptions()
    .description('take uploads by tus, IndexedCP and plain HTTP; they resume after any break')
  addPlaceOptions(command)
  addLimitOptions(command)
  addAddressOptions(command)
  addAccessOptions(command)
  addOutputOptions(command)
  addKeyCommands(command, runKeys)
  return command.addHelpText('after', RECEIVE_HELP).action(run)
}

function addPlaceOptions(command: Command): void {
  command
    .optionsGroup('Where it goes:')
    .option('-d, --dir <dir>', 'folder for the files; made if it is not there', '.')
    .addOption(
      new Option('--on-exists <choice>', 'when a file of that name is there')
        .choices(['rename', 'overwrite', 'fail'])
        .default('rename'),
    )
    .addOption(
      new Option('--path-mode <mode>', 'folders in names: leave out, refuse, or make them')
        .choices(['ignore', 'sanitize', 'allow-paths'])
        .default('ignore'),
    )
    .addOption(
      new Option('--ack <level>', 'what an answer promises: that bytes survive a power cut')
        .choices(['durable', 'written', 'memory'])
        .default('durable'),
    )
}

function addLimitOptions(command: Command): void {
  command
    .optionsGroup('How much:')
    .option('--max-size <size>', 'refuse larger files; like 500M or 2G')
    .option('--max-uploads <count>', 'unfinished ones', parseCount(1, 1_000_000), 10_000)
    .option('--max-per-key <count>', 'unfinished ones of an owner', parseCount(1, 1_000_000))
    .option('--quota <size>', 'bytes in unfinished uploads of an owner')
    .option('--reserve <size>', 'what stays free on the disk (default: 64M)')
    .option('--expire <time>', 'keep unfinished ones so long; like 90s, 30m, 12h or 7d', '7d')
    .option(
      '--finish-after <time>',
      'IndexedCP clients that do not say when they are done are, without chunks for so long',
      '10m',
    )
    .option('--timeout <seconds>', 'how long a client may send nothing', parseCount(1, 86_400), 30)
    .option('--min-rate <rate>', 'bytes per second that a client has to send')
    .option('--limit-rate <rate>', 'bytes per second at most, of an owner; like 500K or 2M')
    .option('--max-requests <count>', 'requests per second of an owner', parseCount(1, 1_000_000))
    .option('--max-connections <count>', 'at the same time', parseCount(1, 1_000_000))
}

function addAddressOptions(command: Command): void {
  command
    .optionsGroup('Address:')
    .option('-p, --port <port>', '0 takes one that is free', parseCount(0, MAX_PORT), 3000)
    .option('--host <address>', 'where it listens; others than this machine need keys', '127.0.0.1')
    .option('--mount <path>', 'what stands before its paths, like /api')
    .option('--doors <names>', 'protocols: of indexedcp,tus,ietf (default: all)')
}

function addAccessOptions(command: Command): void {
  command
    .optionsGroup('Who may:')
    .option('--key-file <file>', 'keys that are let in; made if it is not there')
    .option(
      '--cors <origin>',
      'web pages that may, like https://app.example; * for all; repeatable',
      collect,
    )
    .option('--encryption', 'take the encrypted chunks of IndexedCP, too; keys in DIR/.ferry/keys')
    .option('--tls-cert <file>', 'PEM certificate with its chain, for https')
    .option('--tls-key <file>', 'its private key; default: in the same file')
}

function addOutputOptions(command: Command): void {
  command
    .optionsGroup('Output:')
    .option('--json', 'print events as JSON, one a line')
    .option('-q, --quiet', 'print nothing but errors')
    .optionsGroup('Options:')
}

function addKeyCommands(command: Command, run: (action: KeyAction) => Promise<void>): void {
  const keys = command.command('keys').description('add, list and remove the keys of a key file')
  const add = (name: string, description: string): Command =>
    keys
      .command(name)
      .description(description)
      .requiredOption('--key-file <file>', 'the file; a running server sees what changes')
  add('add', 'make a key and print it, once; the file gets its hash')
    .argument('<owner>', 'whose key it is; owners see only their own uploads')
    .option('--scope <names>', 'of upload,status,admin (default: upload,status)')
    .option('--door <names>', 'protocols: of indexedcp,tus,ietf (default: all)')
    .option('--folder <name>', "the owner's folder below that of the server")
    .action((owner: string, { keyFile, ...rights }: KeyOptions) =>
      run({ type: 'add', owner, rights, keyFile }),
    )
  add('list', 'print owners and the beginnings of the hashes').action(({ keyFile }: KeyOptions) =>
    run({ type: 'list', keyFile }),
  )
  add('remove', 'remove the keys of an owner, or one')
    .argument('<owner|hash>', 'as list prints it')
    .action((which: string, { keyFile }: KeyOptions) => run({ type: 'remove', which, keyFile }))
}

interface KeyOptions extends KeyRights {
  readonly keyFile: string
}

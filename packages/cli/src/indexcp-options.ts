/** The commands of `indexcp`, their options and help. Loads nothing else, so that help comes at once. */
import { type Command, Option } from 'commander'

/** What a command is to do. */
export type IndexcpAction =
  | ({ readonly type: 'add'; readonly files: readonly string[] } & OutputOptions)
  | ({ readonly type: 'list' } & OutputOptions)
  | ({ readonly type: 'clear'; readonly force?: true } & OutputOptions)
  | ({ readonly type: 'upload'; readonly url: string } & SendingOptions)
  | ({
      readonly type: 'buffer-and-upload'
      readonly file: string
      readonly url: string
    } & SendingOptions)
  | ({ readonly type: 'server' } & IndexcpServerOptions)

interface OutputOptions {
  readonly json?: true
}

/** How `upload` and `buffer-and-upload` send. */
export interface SendingOptions extends OutputOptions {
  readonly apiKey?: string
}

/** What `server` is told. */
export interface IndexcpServerOptions extends OutputOptions {
  readonly port: number
  readonly dir: string
  readonly host: string
  readonly pathMode: 'ignore' | 'sanitize' | 'allow-paths'
  readonly apiKey?: string
}

const MAX_PORT = 65_535
const DEFAULT_PORT = 3000
const DEFAULT_HOST = '127.0.0.1'

const INDEXCP_HELP = `
Send files so that they arrive, whatever breaks meanwhile:
  $ indexcp server 3000 ./uploads                         there: prints the key that clients need
  $ export INDEXCP_API_KEY=that-key                       here
  $ indexcp add ./myfile.txt                              copies it into the buffer
  $ indexcp list
  $ indexcp upload http://localhost:3000/upload           sends what is in the buffer
  $ indexcp buffer-and-upload ./myfile.txt http://localhost:3000/upload
  $ indexcp clear                                         forgets what is in the buffer

Once "add" has returned, the file is kept: it may be changed or deleted, and the power may go. A file
leaves the buffer when the server has all of it. Interrupted in any way, "upload" goes on where the
server is; the same command does it. The buffer is ~/.indexcp/indexcp.db.

The key: from INDEXCP_API_KEY; where that is not set and the server asks for one, it is asked for at
the terminal, and not shown. --api-key KEY can be seen by every user of the machine.

For more, of the same package: ferry put, ferry outbox and ferry receive.

Exit codes:
  0 done                        8 the server refuses (401: the key)   16 the buffer is in use
  1 unexpected failure          9 the connection was lost             20 the server has no room for it
  2 mistake in the command     14 the disk is full                    21 whether all arrived is not known
  3 no such host               15 the buffer cannot be used          130 interrupted
  4 nobody answers there`

/** Adds the commands; `run` is called with what was said. */
export function addIndexcpCommands(
  program: Command,
  run: (action: IndexcpAction) => Promise<void>,
): void {
  program.addHelpText('after', INDEXCP_HELP)
  addBufferCommands(program, run)
  addSendingCommands(program, run)
  addServerCommand(program, run)
}

function addBufferCommands(program: Command, run: (action: IndexcpAction) => Promise<void>): void {
  withJson(program.command('add'))
    .description('copy a file into the buffer, where it stays until it is delivered')
    .argument('<file...>', 'as it is given here, it is called at the server')
    .action((files: string[], options: OutputOptions) => run({ type: 'add', files, ...options }))
  withJson(program.command('list'))
    .description('list what is in the buffer')
    .action((options: OutputOptions) => run({ type: 'list', ...options }))
  withJson(program.command('clear'))
    .description('remove everything from the buffer; at a terminal it asks before')
    .option('-f, --force', 'do not ask')
    .action((options: OutputOptions & { force?: true }) => run({ type: 'clear', ...options }))
}

function addSendingCommands(program: Command, run: (action: IndexcpAction) => Promise<void>): void {
  withJson(withKey(program.command('upload')))
    .description('send everything that is in the buffer')
    .argument('<url>', 'where the server takes chunks, like http://localhost:3000/upload')
    .action((url: string, options: SendingOptions) => run({ type: 'upload', url, ...options }))
  withJson(withKey(program.command('buffer-and-upload')))
    .description('copy a file into the buffer, and send it at once')
    .argument('<file>')
    .argument('<url>', 'where the server takes chunks')
    .action((file: string, url: string, options: SendingOptions) =>
      run({ type: 'buffer-and-upload', file, url, ...options }),
    )
}

function addServerCommand(program: Command, run: (action: IndexcpAction) => Promise<void>): void {
  withJson(withKey(program.command('server')))
    .description('receive files into a folder, from clients that have the key')
    .argument('[port]', `default: ${DEFAULT_PORT}; 0 takes one that is free`)
    .argument('[dir]', 'made if it is not there; default: this folder')
    .option('--host <address>', 'where it listens', DEFAULT_HOST)
    .addOption(
      new Option('--path-mode <mode>', 'folders in names: leave out, refuse, or make them')
        .choices(['ignore', 'sanitize', 'allow-paths'])
        .default('ignore'),
    )
    .action(
      (
        first: string | undefined,
        second: string | undefined,
        flags: ServerFlags,
        self: Command,
      ) => {
        const place = readPlace(first, second)
        if (typeof place === 'string') self.error(`error: ${place}`)
        return run({ type: 'server', ...place, ...flags })
      },
    )
}

type ServerFlags = Omit<IndexcpServerOptions, 'port' | 'dir'>

/**
 * A port comes before the folder, and may be left out; a folder named by digits is `./3000`.
 * @returns what is wrong, as a text
 */
function readPlace(
  first: string | undefined,
  second: string | undefined,
): Pick<IndexcpServerOptions, 'port' | 'dir'> | string {
  if (first === undefined) return { port: DEFAULT_PORT, dir: '.' }
  if (/^\d+$/.test(first)) {
    const port = Number(first)
    return port <= MAX_PORT
      ? { port, dir: second ?? '.' }
      : `expected a port from 0 to ${MAX_PORT}, or a folder like ./${first}`
  }
  if (second === undefined) return { port: DEFAULT_PORT, dir: first }
  return 'expected a port, then a folder'
}

function withJson(command: Command): Command {
  return command.option('--json', 'print JSON, one value a line')
}

function withKey(command: Command): Command {
  return command.option('--api-key <key>', 'others can see it: set INDEXCP_API_KEY rather')
}

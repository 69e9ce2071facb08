/** The commands of `ferry outbox`, their options and help. Loads nothing else, so that help comes at once. */
import type { Command } from 'commander'
import { parseCount } from './option-values.ts'
import {
  addOutboxOption,
  addSendOptions,
  EXIT_CODES_HELP,
  SECRETS_HELP,
  type SendOptions,
} from './send-options.ts'

/** What all of them are told. */
interface CommonOptions {
  readonly outbox?: string
  readonly json?: true
}

/** What is done to what is in the outbox. */
export type OutboxAction =
  | ({ readonly type: 'add'; readonly files: readonly string[] } & AddOptions)
  | ({ readonly type: 'list' } & CommonOptions)
  | ({ readonly type: 'remove'; readonly ids: readonly string[] } & CommonOptions)
  | ({ readonly type: 'clear'; readonly yes?: true } & CommonOptions)

export interface AddOptions extends CommonOptions {
  readonly name?: string
  readonly reference?: true
}

/** How `send` sends. */
export interface OutboxSendOptions extends SendOptions {
  readonly all?: true
}

/** How `watch` does. */
export interface WatchOptions extends SendOptions {
  readonly settle: number
  readonly deleteSent?: true
}

/** What becomes of what was said. */
export interface OutboxRuns {
  readonly act: (action: OutboxAction) => Promise<void>
  readonly send: (url: string | undefined, options: OutboxSendOptions) => Promise<void>
  readonly watch: (
    place: { readonly dir: string; readonly url: string },
    options: WatchOptions,
  ) => Promise<void>
}

const MAX_SETTLE_SECONDS = 86_400
const DEFAULT_SETTLE_SECONDS = 2

const OUTBOX_HELP = `
Examples:
  $ ferry outbox add photo.jpg reports/                   copies them; the originals may go
  $ make-backup | ferry outbox add --name backup.tar -
  $ ferry outbox list
  $ ferry outbox send https://example.org/files           whatever breaks: run it again
  $ ferry outbox send                                     goes on with what ferry put has begun
  $ ferry outbox remove 3f2c 81aa
  $ ferry outbox watch ~/scans https://example.org/files  sends what appears there, until Ctrl-C

The outbox keeps files until they are delivered, whatever is killed or unplugged: once "add" has
returned, they are in ~/.indexcp/ferry.db. ferry put notes there what it sends. Several commands may
use one outbox at a time; each file is sent by one of them. See ferry outbox send --help.`

const SEND_HELP = `
Without a URL, what ferry put or ferry outbox watch has noted goes to where it was to go. With one,
what nobody has given a URL goes there, and what is for that very URL; --all sends there what is for
others, too. A key is shown to one server: with one, and files for several, name the URL of each.

${SECRETS_HELP}

${EXIT_CODES_HELP}`

const WATCH_HELP = `
A file counts when it has come to rest: when its size and its time of modification have not changed
for --settle seconds. Names that begin with a dot or end in .part are left out, for files that are
not yet whole: write under such a name, then rename. Folders are watched with all that is in them;
links to files are followed, links to folders are not.

What was sent is remembered beside the outbox: each version of a file is sent once, also when the
command is run again, and what came meanwhile is found then. A file that is renamed later is not sent
again; one that has changed is, as a new upload. Files stay where they are, and are sent from there;
--delete-sent removes each when the server has all of it, unless it has changed by then.

Ctrl-C or SIGTERM ends it, exit code 0; the same command goes on where it was.

${SECRETS_HELP}

${EXIT_CODES_HELP}`

/** Adds the commands. */
export function addOutboxCommand(program: Command, runs: OutboxRuns): Command {
  const outbox = program
    .command('outbox')
    .enablePositionalOptions()
    .description('keep files until they are delivered; send them, or what appears in a folder')
    .addHelpText('after', OUTBOX_HELP)
  addItemCommands(outbox, runs.act)
  addSendCommand(outbox, runs.send)
  addWatchCommand(outbox, runs.watch)
  return outbox
}

function addItemCommands(outbox: Command, act: OutboxRuns['act']): void {
  withCommon(outbox.command('add'))
    .description('copy files into the outbox')
    .argument('<file...>', 'files, folders with all that is in them, - for standard input')
    .option('--name <name>', 'what the server is told it is called (default: as the file is)')
    .option('--reference', 'note where they are instead; they must stay as they are until sent')
    .action((files: string[], options: AddOptions) => act({ type: 'add', files, ...options }))
  withCommon(outbox.command('list'))
    .description('list what is in the outbox')
    .action((options: CommonOptions) => act({ type: 'list', ...options }))
  withCommon(outbox.command('remove'))
    .description('remove files from the outbox, which are then not sent')
    .argument('<id...>', 'as list shows them; their beginnings suffice')
    .action((ids: string[], options: CommonOptions) => act({ type: 'remove', ids, ...options }))
  withCommon(outbox.command('clear'))
    .description('remove everything from the outbox, but for what is being sent')
    .option('--yes', 'do not ask')
    .action((options: CommonOptions & { yes?: true }) => act({ type: 'clear', ...options }))
}

function addSendCommand(outbox: Command, run: OutboxRuns['send']): void {
  const command = outbox
    .command('send')
    .description('send what is in the outbox; what was interrupted goes on where it was')
    .argument('[url]', 'where uploads are taken')
    .optionsGroup('What is sent:')
    .option('--all', 'to the URL, also what is for others')
  addOutboxOption(command)
  addSendOptions(command)
  command.addHelpText('after', SEND_HELP).action(run)
}

function addWatchCommand(outbox: Command, run: OutboxRuns['watch']): void {
  const command = outbox
    .command('watch')
    .description('send what appears in a folder, and what is there already, until it is ended')
    .argument('<dir>')
    .argument('<url>', 'where uploads are taken')
    .optionsGroup('What is sent:')
    .option(
      '--settle <seconds>',
      'how long a file must not have changed',
      parseCount(1, MAX_SETTLE_SECONDS),
      DEFAULT_SETTLE_SECONDS,
    )
    .option('--delete-sent', 'remove files from the folder once they are delivered')
  addOutboxOption(command)
  addSendOptions(command)
  command
    .addHelpText('after', WATCH_HELP)
    .action((dir: string, url: string, options: WatchOptions) => run({ dir, url }, options))
}

function withCommon(command: Command): Command {
  addOutboxOption(command)
  return command.option('--json', 'print JSON, one value a line')
}

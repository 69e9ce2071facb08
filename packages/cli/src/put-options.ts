/** The options of `ferry put` and its help. Loads nothing else, so that help comes at once. */
import { type Command, Option } from 'commander'
import {
  addOutboxOption,
  addSendOptions,
  EXIT_CODES_HELP,
  SECRETS_HELP,
  type SendOptions,
} from './send-options.ts'

/** The options as commander gives them. */
export interface PutOptions extends SendOptions {
  readonly name?: string
  readonly copy?: true
  /** False with --no-buffer. */
  readonly buffer: boolean
}

const PUT_HELP = `
Examples:
  $ ferry put photo.jpg https://example.org/files
  $ ferry put *.csv reports/ https://example.org/files    folders with all that is in them
  $ ferry put --name latest.iso build/out.iso https://example.org/files
  $ make-backup | ferry put --name backup.tar - https://example.org/files
  $ ferry put --key-file key photo.jpg https://example.org/upload
  $ ferry put --copy /media/stick/*.mov https://example.org/files    the stick may then go
  $ ferry put --protocol tus --parallel 4 --checksum big.iso https://example.org/files
  $ ferry put --limit-rate 500K --offline wait big.iso https://example.org/files

What takes uploads at the other end: ferry receive, tus servers, those of the IETF's draft for
resumable uploads, and IndexedCP servers. Which of them it is the server tells, else --protocol.

An upload that was interrupted, however it ended, goes on when the same command is run again, or by
ferry outbox send: until it is delivered a file is noted in the outbox, by its path. Files that have
changed since then begin anew. --copy keeps a copy of the content instead, as is done for standard
input; --no-buffer keeps nothing, and what is sent then is lost with the command.

${SECRETS_HELP}

${EXIT_CODES_HELP}`

/** Adds the command; `run` is called with what was said. */
export function addPutCommand(
  program: Command,
  run: (words: { files: string[]; url: string }, options: PutOptions) => Promise<void>,
): Command {
  const command = program
    .command('put')
    .description('upload files and folders; what is interrupted goes on where it was')
    .usage('[options] <file...> <url>')
    .argument(
      '<file...>',
      'files, folders, - for standard input; last the http:// or https:// URL where uploads are taken',
    )
  addSourceOptions(command)
  addSendOptions(command)
  return command
    .addHelpText('after', PUT_HELP)
    .action(async (words: string[], options: PutOptions) => {
      const url = words.at(-1) as string
      const files = words.slice(0, -1)
      if (files.length === 0) command.error("error: missing required argument 'url'")
      await run({ files, url }, options)
    })
}

function addSourceOptions(command: Command): void {
  command
    .optionsGroup('What is sent, and kept until it is delivered:')
    .option('--name <name>', 'what the server is told it is called (default: as the file is)')
    .option('--copy', 'keep a copy in the outbox first, so that the file may change or go')
    .addOption(
      new Option('--no-buffer', 'keep nothing in the outbox').conflicts(['copy', 'outbox']),
    )
  addOutboxOption(command)
}

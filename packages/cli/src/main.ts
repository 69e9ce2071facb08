/** The command line: which commands and options there are, and their help. */
import { Command, CommanderError, Option, type OutputConfiguration } from 'commander'
import { addFetchCommand } from './fetch-options.ts'
import type { GetOptions } from './get-command.ts'
import { collect, parseCount } from './option-values.ts'
import { version } from './version.ts'

const MAX_CONNECTIONS = 64

const EXIT_CODE_HELP = `
Exit codes:
  0 all files are there, whole    8 the server refused (HTTP status)  14 no space left
  1 unexpected failure            9 connection lost                   15 cannot write there
  2 unusable option or URL       10 the file changed at the server    16 another ferry writes it
  3 host not found               11 wrong checksum                    17 wrong range from server
  4 no connection                12 wrong size                       130 interrupted; can be
  5 TLS not trusted              13 a file of that name exists           resumed
  6 too slow                      7 broken HTTP`

const GET_HELP = `
Examples:
  $ ferry get https://example.org/image.iso
  $ ferry get -x 4 -d ~/Downloads https://example.org/image.iso
  $ ferry get --checksum sha256=9f86d0… -o image.iso https://example.org/latest
  $ ferry get --header @token.txt https://example.org/private.tar

An interrupted download, however it ended, goes on when the same command is run again; it begins
anew where the server does not say which version of the file it has. While it runs, its bytes are
in FILE.part; FILE itself appears at once and whole.
${EXIT_CODE_HELP}`

/** Runs the command line; resolves with the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  let exitCode = 0
  // A reader that has gone away, or a full disk behind a redirection, must not end a download.
  for (const output of [process.stdout, process.stderr]) output.on('error', () => {})
  const program = new Command('ferry')
    .description('Carries files over HTTP and proves that they arrived whole; sends requests.')
    .version(version, '-V, --version', 'print the version')
    .configureOutput(usageErrorsOf('ferry'))
    .exitOverride()
  program
    .command('get')
    .description('download files, over several connections where that helps; resumes by itself')
    .argument('<url...>', 'http:// or https:// URLs, each a file')
    .option('-o, --output <file>', 'name of the file (default: from the URL)')
    .option('-d, --dir <dir>', 'folder for the files; made if it is not there')
    .option(
      '-x, --connections <count>',
      'most connections to use',
      parseCount(1, MAX_CONNECTIONS),
      8,
    )
    .option(
      '--checksum <algorithm=hex>',
      'digest that the file must have: sha256=…, sha512=…, sha1=…, md5=…',
    )
    .option(
      '-H, --header <field>',
      'field for every request, "Name: value"; @FILE reads them from a file',
      collect,
      [],
    )
    .option('--limit-rate <rate>', 'bytes per second at most, like 500K or 2M')
    .addOption(
      new Option('--on-change <policy>', 'when the file at the server is another one than before')
        .choices(['restart', 'fail'])
        .default('restart'),
    )
    .option('--overwrite', 'replace a file of that name')
    .option('--fresh', 'discard what an earlier run has left')
    .option('--retries <count>', 'tries in a row that may bring nothing', parseCount(0, 1000), 5)
    .option('--timeout <seconds>', 'how long the server may stand still', parseCount(1, 86_400), 30)
    .option('--cacert <file>', 'PEM certificates to trust instead of the system’s')
    .option('-k, --insecure', 'trust any certificate')
    .option('--json', 'print events as JSON, one a line')
    .option('-q, --quiet', 'print nothing but errors')
    .addHelpText('after', GET_HELP)
    .action(async (urls: string[], options: GetOptions) => {
      // Help and mistakes need none of the modules behind it.
      const { runGet } = await import('./get-command.ts')
      exitCode = await runGet(urls, options)
    })
    .configureOutput(usageErrorsOf('ferry get'))
  addFetchCommand(program, async (url, options) => {
    const { runFetch } = await import('./fetch-command.ts')
    exitCode = await runFetch(url, options)
  }).configureOutput(usageErrorsOf('ferry fetch'))
  try {
    await program.parseAsync(args, { from: 'user' })
    return exitCode
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    // Commander has printed what is wrong; help and version are no errors.
    return error.exitCode === 0 ? 0 : 2
  }
}

/** Mistakes in a command line, told as every other failure is. */
function usageErrorsOf(command: string): OutputConfiguration {
  return { outputError: (text, write) => write(formatUsageError(text, command)) }
}

/** Commander's words as one line like every other failure's. */
function formatUsageError(text: string, command: string): string {
  const [first = '', ...rest] = text
    .trim()
    .replace(/^error: /, '')
    .split('\n')
  const hint = rest.map((line) => ` ${line}`).join('')
  return `ferry: Cannot run: ${first.replace(/\.$/, '')}${hint}. See ${command} --help.\n`
}

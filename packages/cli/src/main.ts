/** The command line: which commands there are, and how mistakes in their use are told. */
import { Command, CommanderError } from 'commander'
import { addFetchCommand } from './fetch-options.ts'
import { addGetCommand } from './get-options.ts'
import { addReceiveCommand } from './receive-options.ts'
import { formatUsageError } from './usage-errors.ts'
import { addVerifyCommand } from './verify-options.ts'
import { version } from './version.ts'

/** Runs the command line; resolves with the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  let exitCode = 0
  // A reader that has gone away, or a full disk behind a redirection, must not end a download.
  for (const output of [process.stdout, process.stderr]) output.on('error', () => {})
  const program = new Command('ferry')
    .description('Carries files over HTTP and proves that they arrived whole; sends requests.')
    .version(version, '-V, --version', 'print the version')
    // Options belong to the command that they stand behind.
    .enablePositionalOptions()
    .exitOverride()
  // Help and mistakes need none of the modules behind the commands.
  addGetCommand(program, async (urls, options) => {
    const { runGet } = await import('./get-command.ts')
    exitCode = await runGet(urls, options)
  })
  addFetchCommand(program, async (url, options) => {
    const { runFetch } = await import('./fetch-command.ts')
    exitCode = await runFetch(url, options)
  })
  addVerifyCommand(program, async (files, options) => {
    const { runVerify } = await import('./verify-command.ts')
    exitCode = await runVerify(files, options)
  })
  addReceiveCommand(
    program,
    async (options) => {
      const { runReceive } = await import('./receive-command.ts')
      exitCode = await runReceive(options)
    },
    async (action) => {
      const { runReceiveKeys } = await import('./receive-keys.ts')
      exitCode = await runReceiveKeys(action)
    },
  )
  tellUsageErrors(program, 'ferry')
  try {
    await program.parseAsync(args, { from: 'user' })
    return exitCode
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    // Commander has printed what is wrong; help and version are no errors.
    return error.exitCode === 0 ? 0 : 2
  }
}

/** Has mistakes in the use of a command, and of those below it, told as every other failure is. */
function tellUsageErrors(command: Command, words: string): void {
  command.configureOutput({
    outputError: (text, write) => write(formatUsageError(text, words)),
  })
  for (const inner of command.commands) tellUsageErrors(inner, `${words} ${inner.name()}`)
}

/** Reads the command line of a program: mistakes in its use are told in one line, with exit code 2. */
import { type Command, CommanderError } from 'commander'
import { formatUsageError } from './usage-errors.ts'

const EXIT_USAGE = 2

/** Readies a program for `runCommandLine()`; to be called before commands are added to it. */
export function prepareProgram(program: Command): Command {
  // A reader that has gone away, or a full disk behind a redirection, must not end what is going on.
  for (const output of [process.stdout, process.stderr]) output.on('error', () => {})
  // Options belong to the command that they stand behind.
  return program.enablePositionalOptions().exitOverride()
}

/**
 * Runs the command that the arguments name.
 * @returns the exit code of a mistake in its use; undefined when there was none
 * @throws what the command throws
 */
export async function runCommandLine(
  program: Command,
  args: readonly string[],
): Promise<number | undefined> {
  tellUsageErrors(program, program.name())
  try {
    await program.parseAsync(args, { from: 'user' })
    return undefined
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    // Commander has printed what is wrong; help and version are no errors.
    return error.exitCode === 0 ? 0 : EXIT_USAGE
  }
}

/** Has mistakes in the use of a command, and of those below it, told as every other failure is. */
function tellUsageErrors(command: Command, words: string): void {
  command.configureOutput({
    outputError: (text, write) => write(formatUsageError(text, words)),
  })
  for (const inner of command.commands) tellUsageErrors(inner, `${words} ${inner.name()}`)
}

/** The command line: which commands there are, and how mistakes in their use are told. */
import { Command, CommanderError, type OutputConfiguration } from 'commander'
import { addFetchCommand } from './fetch-options.ts'
import { addGetCommand } from './get-options.ts'
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
    .configureOutput(usageErrorsOf('ferry'))
    .exitOverride()
  // Help and mistakes need none of the modules behind the commands.
  addGetCommand(program, async (urls, options) => {
    const { runGet } = await import('./get-command.ts')
    exitCode = await runGet(urls, options)
  }).configureOutput(usageErrorsOf('ferry get'))
  addFetchCommand(program, async (url, options) => {
    const { runFetch } = await import('./fetch-command.ts')
    exitCode = await runFetch(url, options)
  }).configureOutput(usageErrorsOf('ferry fetch'))
  addVerifyCommand(program, async (files, options) => {
    const { runVerify } = await import('./verify-command.ts')
    exitCode = await runVerify(files, options)
  }).configureOutput(usageErrorsOf('ferry verify'))
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

/** The program `indexcp`: the commands that users of IndexedCP know, over Ferry's outbox and server. */
import { Command } from 'commander'
import { prepareProgram, runCommandLine } from './command-line.ts'
import { addIndexcpCommands } from './indexcp-options.ts'
import { version } from './version.ts'

/** Runs the command line; resolves with the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  let exitCode = 0
  const program = prepareProgram(new Command('indexcp'))
    .description('Sends files so that they arrive: kept in a buffer, resumed after any break.')
    .version(version, '-V, --version', 'print the version')
  addIndexcpCommands(program, async (action) => {
    const { runIndexcp } = await import('./indexcp-command.ts')
    exitCode = await runIndexcp(action)
  })
  return (await runCommandLine(program, args.length === 0 ? ['--help'] : args)) ?? exitCode
}

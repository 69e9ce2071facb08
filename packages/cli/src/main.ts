/** The command line: which commands there are. */
import { Command } from 'commander'
import { prepareProgram, runCommandLine } from './command-line.ts'
import { addFetchCommand } from './fetch-options.ts'
import { addGetCommand } from './get-options.ts'
import { addOutboxCommand } from './outbox-options.ts'
import { addPutCommand } from './put-options.ts'
import { addReceiveCommand } from './receive-options.ts'
import { addVerifyCommand } from './verify-options.ts'
import { version } from './version.ts'

/** Runs the command line; resolves with the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  let exitCode = 0
  const program = prepareProgram(new Command('ferry'))
    .description('Carries files over HTTP and proves that they arrived whole; sends requests.')
    .version(version, '-V, --version', 'print the version')
  // Help and mistakes need none of the modules behind the commands.
  addGetCommand(program, async (urls, options) => {
    const { runGet } = await import('./get-command.ts')
    exitCode = await runGet(urls, options)
  })
  addPutCommand(program, async (words, options) => {
    const { runPut } = await import('./put-command.ts')
    exitCode = await runPut(words, options)
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
  addOutboxCommand(program, {
    act: async (action) => {
      const { runOutbox } = await import('./outbox-command.ts')
      exitCode = await runOutbox(action)
    },
    send: async (url, options) => {
      const { runOutboxSend } = await import('./outbox-send.ts')
      exitCode = await runOutboxSend(url, options)
    },
    watch: async (place, options) => {
      const { runOutboxWatch } = await import('./outbox-watch.ts')
      exitCode = await runOutboxWatch(place, options)
    },
  })
  return (await runCommandLine(program, args)) ?? exitCode
}

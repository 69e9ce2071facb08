/** What every command that sends does around its work: signals, telling, settings, exit codes. */
import { describeSendFailure, type SendWords } from './send-failure.ts'
import type { SendOptions } from './send-options.ts'
import type { SendRunContext } from './send-run.ts'
import { SendSettings } from './send-settings.ts'
import { createSendReporter } from './send-task.ts'
import { StopSignals } from './stop-signals.ts'

const KEY_WARNING =
  'Warning: other users of this machine can see what follows --key; keep it in INDEXCP_API_KEY, or in a file for --key-file'

/**
 * Runs the work of a command.
 * @returns its exit code, or that of what it throws
 */
export async function runSending(
  options: SendOptions,
  words: SendWords,
  work: (context: SendRunContext) => Promise<number>,
): Promise<number> {
  using signals = new StopSignals()
  const { signal } = signals
  const reporter = createSendReporter(options)
  try {
    if (options.key !== undefined) reporter.note(KEY_WARNING)
    await using settings = await SendSettings.open(options, {
      signal,
      interrupt: () => signals.interrupt('SIGINT'),
      hold: () => reporter.hold(),
    })
    return await work({ settings, reporter, signal, words })
  } catch (error) {
    const failure = describeSendFailure(error as Error, undefined, words)
    reporter.failed(failure)
    return failure.exitCode
  } finally {
    reporter.close()
  }
}

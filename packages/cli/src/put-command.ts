/** `ferry put`: sends files by way of the outbox; what is delivered is gone from there. */
import { ConfigError } from 'ferry/errors'
import { HttpUrl } from 'ferry/transport'
import { GroupedReporter } from './grouped-reporter.ts'
import { findFiles } from './put-files.ts'
import { createDirectJobs, createNotedJobs } from './put-jobs.ts'
import type { PutOptions } from './put-options.ts'
import { runSending } from './send-command.ts'
import type { SendWords } from './send-failure.ts'
import { SendOrder } from './send-order.ts'
import { openOutbox } from './send-outbox.ts'
import { sendAll, type SendJob } from './send-run.ts'
import { ServerTrouble } from './server-trouble.ts'

const OTHER_OUTBOX =
  'another place for the outbox with --outbox FILE, or keep nothing with --no-buffer'
const WORDS: SendWords = {
  command: 'ferry put',
  advice: {
    'no-space': `Make room, choose ${OTHER_OUTBOX}`,
    'not-writable': `Choose ${OTHER_OUTBOX}`,
    'upload-not-found': 'Look at ferry outbox list, or run the same command again',
  },
}

/** What the command line names. */
export interface PutWords {
  readonly files: readonly string[]
  readonly url: string
}

/** Runs the command; resolves with the exit code: that of the first failure. */
export function runPut(
  { files: words, url: text }: PutWords,
  options: PutOptions,
): Promise<number> {
  return runSending(options, WORDS, async (context) => {
    const url = parseUrl(text)
    const note = (sentence: string): void => context.reporter.note(sentence)
    const { signal } = context
    const files = await findFiles(words, { name: options.name, note, signal })
    const trouble = new ServerTrouble()
    const order = new SendOrder(options)
    const send = async (jobs: readonly SendJob[]): Promise<number> => {
      const guarded = jobs.map((job) => order.guard(trouble.guard(job)))
      // Programs are told of each.
      if (options.json === true) return await sendAll(guarded, context)
      const reporter = new GroupedReporter(context.reporter)
      const code = await sendAll(guarded, { ...context, reporter })
      reporter.end()
      return code
    }
    if (!options.buffer) return await send(createDirectJobs(files, url))
    await using outbox = await openOutbox(options)
    return await send(await createNotedJobs(files, { url, options, outbox }, context))
  })
}

/** @throws {ConfigError} */
function parseUrl(text: string): HttpUrl {
  if (/^https?:\/\//i.test(text)) return HttpUrl.parse(text)
  throw new ConfigError(
    'url',
    'Cannot send: the last word has to be the URL where the server takes uploads, http://… or https://…',
  )
}

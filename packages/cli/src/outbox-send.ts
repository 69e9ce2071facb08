/** `ferry outbox send`: sends what is in the outbox, each item to where it is to go. */
import { ConfigError } from 'ferry/errors'
import { HttpUrl } from 'ferry/transport'
import type { Outbox, OutboxItem } from 'ferry/upload'
import { ENDINGS, EXIT_OK } from './exit-codes.ts'
import { countFiles } from './outbox-items.ts'
import type { OutboxSendOptions } from './outbox-options.ts'
import { OutboxReporter } from './outbox-reporter.ts'
import { ServerTrouble } from './server-trouble.ts'
import { runSending } from './send-command.ts'
import type { SendWords } from './send-failure.ts'
import { SendOrder } from './send-order.ts'
import { openOutbox, targetOf } from './send-outbox.ts'
import { sendAll, sendFromOutbox, type SendJob, type SendRunContext } from './send-run.ts'

const WORDS: SendWords = {
  command: 'ferry outbox send',
  advice: {
    'source-changed': 'Remove it with ferry outbox remove, then add it as it is now',
    'target-exists': 'Have it removed at the server, or add the file under another name',
  },
}
const GO_ON = 'It stays in the outbox; run the same command again to go on'

/** Runs the command; resolves with its exit code. */
export function runOutboxSend(
  url: string | undefined,
  options: OutboxSendOptions,
): Promise<number> {
  return runSending(options, WORDS, async (context) => {
    const chosen = url === undefined ? undefined : HttpUrl.parse(url)
    if (options.all === true && chosen === undefined) {
      throw new ConfigError('all', 'Cannot use --all without a URL')
    }
    await using outbox = await openOutbox(options)
    const order = new SendOrder(options)
    return await sendChosen(outbox, { url: chosen, all: options.all === true, order }, context)
  })
}

async function sendChosen(
  outbox: Outbox,
  choice: { readonly url: HttpUrl | undefined; readonly all: boolean; readonly order: SendOrder },
  context: SendRunContext,
): Promise<number> {
  const items = await outbox.list()
  const { jobs, left } = chooseItems(items, choice)
  const reporter = new OutboxReporter(context.reporter)
  if (items.length === 0) reporter.note('The outbox is empty')
  context.settings.checkServers(jobs.map(({ url }) => url))
  const trouble = new ServerTrouble()
  const code = await sendAll(
    jobs.map(({ item, url }) => choice.order.guard(trouble.guard(jobFor(outbox, item, url)))),
    { ...context, reporter },
  )
  reporter.end()
  if (context.signal.aborted) return code
  if (left.length > 0) reporter.note(describeLeft(left, choice.url))
  if (reporter.exitCode !== EXIT_OK) return reporter.exitCode
  return left.some((item) => targetOf(item) === undefined) ? ENDINGS.config.exitCode : EXIT_OK
}

/** Which items go where; `left` stay where they are. Pure. */
export function chooseItems(
  items: readonly OutboxItem[],
  { url, all }: { readonly url: HttpUrl | undefined; readonly all: boolean },
): {
  readonly jobs: { readonly item: OutboxItem; readonly url: HttpUrl }[]
  readonly left: OutboxItem[]
} {
  const jobs: { item: OutboxItem; url: HttpUrl }[] = []
  const left: OutboxItem[] = []
  for (const item of items) {
    const target = targetOf(item)
    const isForUrl = url !== undefined && (all || target === undefined || target === url.href)
    if (isForUrl) jobs.push({ item, url })
    else if (url === undefined && target !== undefined) {
      jobs.push({ item, url: HttpUrl.parse(target) })
    } else left.push(item)
  }
  return { jobs, left }
}

function jobFor(outbox: Outbox, { id, name, content }: OutboxItem, url: HttpUrl): SendJob {
  return {
    name,
    url,
    path: content.mode === 'reference' ? content.path : undefined,
    goOn: GO_ON,
    send: (options, onStart) => sendFromOutbox(outbox, id, { url, options, onStart }),
  }
}

function describeLeft(left: readonly OutboxItem[], url: HttpUrl | undefined): string {
  const files = countFiles(left.length)
  return url === undefined
    ? `Left: ${files} without a URL to go to; ferry outbox send URL sends what has none`
    : `Left: ${files} for other URLs; ferry outbox send sends what has one, and --all sends all to this one`
}

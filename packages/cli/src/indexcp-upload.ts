/** `indexcp upload` and `buffer-and-upload`: sends what is in the buffer, file by file. */
import { HttpUrl } from 'ferry/transport'
import type { OutboxItem } from 'ferry/upload'
import { EXIT_OK } from './exit-codes.ts'
import { addToSend, type BufferContext } from './indexcp-buffer.ts'
import { createIndexcpReporter } from './indexcp-reporter.ts'
import type { SendingOptions } from './indexcp-options.ts'
import { sendAll, sendFromOutbox } from './send-run.ts'
import { ServerTrouble } from './server-trouble.ts'
import type { SendWords } from './send-failure.ts'
import { SendSettings } from './send-settings.ts'

// As clients of IndexedCP have it. One file after another: the first servers append to one of the
// same name whatever comes.
const SENDING = {
  protocol: 'indexedcp',
  onDoubt: 'stop',
  files: 1,
  retries: 3,
  timeout: 60,
} as const
const RETRY_DELAY_MS = 1000

const GO_ON = 'It stays in the buffer; run indexcp upload with the same URL to go on'

const WORDS: SendWords = {
  command: 'indexcp upload',
  advice: {
    'remote-protocol':
      'Check the URL; to a server that gives each chunk a name of its own, ferry put --chunk-size 1T ' +
      'FILE URL sends a file in one piece',
    'local-protocol': 'Check the URL and the names of the files',
    'delivery-in-doubt':
      'Look at the file at the server; ferry outbox send --outbox ~/.indexcp/indexcp.db --on-doubt ' +
      'resend sends the piece again, which may double it',
    'outbox-unusable': 'Move the database away, then add the files again',
    'no-space': 'Make room, then run the same command again',
    'not-writable': 'See that the buffer is yours to write',
    'target-exists': 'Have it removed at the server, or add the file under another name',
  },
}

/** Sends everything; resolves with the exit code. */
export async function uploadBuffer(
  { url, ...options }: { readonly url: string } & SendingOptions,
  context: BufferContext,
): Promise<number> {
  const target = HttpUrl.parse(url)
  const items = await context.outbox.list()
  if (items.length === 0) {
    context.console.say('No buffered files to upload')
    return EXIT_OK
  }
  const exitCode = await sendItems(items, target, { options, context })
  if (exitCode === EXIT_OK) context.console.say('All buffered files uploaded successfully')
  return exitCode
}

/** Adds a file and sends it; when that fails it stays in the buffer. */
export async function bufferAndUpload(
  { file, url, ...options }: { readonly file: string; readonly url: string } & SendingOptions,
  context: BufferContext,
): Promise<number> {
  const target = HttpUrl.parse(url)
  const item = await addToSend(file, context)
  return await sendItems([item], target, { options, context })
}

async function sendItems(
  items: readonly OutboxItem[],
  url: HttpUrl,
  { options, context }: { readonly options: SendingOptions; readonly context: BufferContext },
): Promise<number> {
  const { outbox, signal, interrupt } = context
  const { apiKey, ...output } = options
  const reporter = createIndexcpReporter(output)
  try {
    await using settings = await SendSettings.open(
      { ...SENDING, ...output, ...(apiKey === undefined ? {} : { key: apiKey }) },
      { signal, interrupt, hold: () => reporter.hold() },
    )
    const trouble = new ServerTrouble()
    const jobs = items.map(({ id, name }) =>
      trouble.guard({
        name,
        url,
        goOn: GO_ON,
        send: (sending, onStart) =>
          sendFromOutbox(outbox, id, {
            url,
            options: { ...sending, retryDelayMs: RETRY_DELAY_MS },
            onStart,
          }),
      }),
    )
    const exitCode = await sendAll(jobs, { settings, reporter, signal, words: WORDS })
    reporter.end()
    return signal.aborted ? exitCode : reporter.exitCode
  } finally {
    reporter.close()
  }
}

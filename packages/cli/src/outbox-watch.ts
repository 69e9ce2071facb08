/** `ferry outbox watch`: sends what appears in a folder, each version of a file once. */
import { realpath, stat } from 'node:fs/promises'
import { relative, resolve, sep } from 'node:path'
import { ConfigError } from 'ferry/errors'
import { HttpUrl } from 'ferry/transport'
import { EXIT_OK } from './exit-codes.ts'
import { reasonOf } from './fetch-system-errors.ts'
import { countFiles } from './outbox-items.ts'
import type { WatchOptions } from './outbox-options.ts'
import { OutboxReporter } from './outbox-reporter.ts'
import { WatchedFolder } from './outbox-watch-folder.ts'
import { memoryPathOf, WatchMemory } from './outbox-watch-memory.ts'
import { WatchQueue } from './outbox-watch-queue.ts'
import { runSending } from './send-command.ts'
import { SendOrder } from './send-order.ts'
import { openOutbox, outboxPathOf } from './send-outbox.ts'

const WORDS = { command: 'ferry outbox watch' } as const

/** Runs the command until it is told to end; resolves with its exit code. */
export function runOutboxWatch(
  place: { readonly dir: string; readonly url: string },
  options: WatchOptions,
): Promise<number> {
  // Who watches a folder wants its files to arrive, whenever the server is there.
  return runSending({ offline: 'wait', ...options }, WORDS, async (context) => {
    const url = HttpUrl.parse(place.url)
    const dir = await findFolder(place.dir)
    const outboxPath = resolve(outboxPathOf(options))
    checkOutbox(outboxPath, dir)
    await using outbox = await openOutbox(options)
    using memory = WatchMemory.open(memoryPathOf(outboxPath, { dir, url: url.href }))
    const broken = new AbortController()
    const signal = AbortSignal.any([context.signal, broken.signal])
    const reporter = new OutboxReporter(context.reporter)
    const queue = new WatchQueue({
      outbox,
      url,
      context: { ...context, reporter, signal },
      order: new SendOrder(options),
      deletesSent: options.deleteSent === true,
      onChanged: (item) => folder.changed(item),
      onError: (error) => broken.abort(error),
    })
    using folder = new WatchedFolder({ dir, url, outbox, memory, queue, reporter, signal }, options)
    reporter.note(`Watching ${dir} for ${url.label}; Ctrl-C ends it`)
    // Whatever ends it, what is on its way ends before the outbox is closed.
    await folder.watch().catch((error: unknown) => broken.abort(error))
    const left = await queue.drain()
    if (!context.signal.aborted) throw broken.signal.reason
    if (left > 0) reporter.note(`${countFiles(left)} left; the same command goes on`)
    return EXIT_OK
  })
}

/** As the system knows it, so that it is the same by whatever path it is named. */
async function findFolder(dir: string): Promise<string> {
  try {
    const path = await realpath(dir)
    if ((await stat(path)).isDirectory()) return path
  } catch (cause) {
    const reason = reasonOf(cause as NodeJS.ErrnoException).replace('file', 'folder')
    throw new ConfigError('dir', `Cannot watch ${dir}: ${reason}`)
  }
  throw new ConfigError('dir', `Cannot watch ${dir}: it is no folder`)
}

/** An outbox in the folder would be sent with every change of itself. */
function checkOutbox(path: string, dir: string): void {
  const segments = relative(dir, path).split(sep)
  const isInside = segments[0] !== '..' && !segments.some((segment) => segment.startsWith('.'))
  if (!isInside) return
  throw new ConfigError('outbox', `Cannot keep the outbox in ${dir}, which is watched`)
}

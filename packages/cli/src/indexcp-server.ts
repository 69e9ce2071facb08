/** `indexcp server`: receives files into a folder, from clients that have the key. */
import { once } from 'node:events'
import { resolve } from 'node:path'
import { ConfigError } from 'ferry/errors'
import { generateKey, KeyRing, UploadServer } from 'ferry/receive'
import { EXIT_OK } from './exit-codes.ts'
import type { IndexcpServerOptions } from './indexcp-options.ts'
import { makeFolder } from './make-folder.ts'
import type { OutboxConsole } from './outbox-console.ts'
import { describeServerFailure } from './receive-failure.ts'
import { createReceiveReporter } from './receive-reporter.ts'

// As a server of IndexedCP has it that is given one key.
const OWNER = 'default'

/** Runs until it is told to stop; resolves with the exit code. */
export async function runIndexcpServer(
  options: IndexcpServerOptions,
  { console, signal }: { readonly console: OutboxConsole; readonly signal: AbortSignal },
): Promise<number> {
  const { port, host, pathMode } = options
  const folder = resolve(options.dir)
  const { key, isNew } = chooseKey(options)
  await makeFolder(folder)
  const reporter = createReceiveReporter({ json: console.isJson, quiet: false }, process, folder)
  try {
    await using server = await UploadServer.open(folder, {
      keys: KeyRing.of(key, OWNER),
      doors: ['indexedcp'],
      indexedcp: { pathMode },
      uploads: { onEvent: (event) => reporter.event(event) },
      onFailure: (failure) => reporter.failed(describeServerFailure(failure)),
    })
    const url = `${await server.listen({ port, host })}/upload`
    console.value({ event: 'listening', url, folder })
    if (!console.isJson) {
      tell(`IndexedCP server listening on ${url}`)
      tell(`Receiving into ${folder}`)
    }
    // Whoever has it shown to him needs it in every case, and no program that reads events does.
    if (isNew) tell(`API key: ${key} (of this run; INDEXCP_API_KEY sets one that stays)`)
    if (!signal.aborted) await once(signal, 'abort')
    if (!console.isJson) tell('Stopping; what is on its way is kept, and its clients can go on')
  } finally {
    reporter.close()
  }
  console.value({ event: 'stopped' })
  return EXIT_OK
}

/** The key that is given, else the one in the environment, else a new one. */
function chooseKey({ apiKey }: IndexcpServerOptions): {
  readonly key: string
  readonly isNew: boolean
} {
  const given = apiKey ?? process.env['INDEXCP_API_KEY']
  if (apiKey === '') throw new ConfigError('api-key', 'Cannot use an empty key')
  const isNew = given === undefined || given === ''
  return { key: isNew ? generateKey() : given, isNew }
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`)
}

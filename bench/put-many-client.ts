/**
 * The process that sends many small files: `put-many-client.ts HOW URL FOLDER [OUTBOX]`. Prints, as JSON,
 * how long it took and its CPU time, from the first call on; loading the library is not in it.
 */
import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { HttpClient } from 'ferry/client'
import { addFolder, openSqliteOutbox, OutboxSender, upload, type UploadOptions } from 'ferry/upload'
import { Upload as TusUpload, type UploadOptions as TusOptions } from 'tus-js-client'
import { measureWork } from './work-report.ts'

export type PutManyWay =
  | 'tus-js-client'
  | 'tus-js-client, uploadDataDuringCreation'
  | 'ferry'
  | 'ferry, createWithContent'
  | 'ferry, 8 at once'
  | 'ferry by IndexedCP, 8 at once'
  | 'ferry, outbox by reference'
  | 'ferry, outbox by reference, 8 at once'

interface Task {
  readonly url: string
  readonly folder: string
  readonly outboxPath: string
}

const AT_ONCE = 8

const WAYS: Readonly<Record<PutManyWay, (task: Task) => Promise<void>>> = {
  'tus-js-client': (task) => putByTusJsClient(task, {}),
  'tus-js-client, uploadDataDuringCreation': (task) =>
    putByTusJsClient(task, { uploadDataDuringCreation: true }),
  ferry: (task) => putFiles(task, 1, { protocol: 'tus' }),
  'ferry, createWithContent': (task) =>
    putFiles(task, 1, { protocol: 'tus', createWithContent: true }),
  'ferry, 8 at once': (task) => putFiles(task, AT_ONCE, { protocol: 'tus' }),
  'ferry by IndexedCP, 8 at once': (task) => putFiles(task, AT_ONCE, { protocol: 'indexedcp' }),
  'ferry, outbox by reference': (task) => putByOutbox(task, 1),
  'ferry, outbox by reference, 8 at once': (task) => putByOutbox(task, AT_ONCE),
}

const [way = '', url = '', folder = '', outboxPath = ''] = process.argv.slice(2)
const put = WAYS[way as PutManyWay]
if (put === undefined) throw new Error(`Cannot measure ${way}: no such way`)
const report = await measureWork(() => put({ url, folder, outboxPath }))
process.stdout.write(JSON.stringify(report))

async function putByTusJsClient(
  { url: endpoint, folder: root }: Task,
  options: Partial<TusOptions>,
): Promise<void> {
  for (const name of await readdir(root)) {
    await new Promise<void>((resolve, reject) => {
      new TusUpload(createReadStream(join(root, name)), {
        ...options,
        endpoint,
        metadata: { filename: name },
        onSuccess: () => resolve(),
        onError: reject,
      }).start()
    })
  }
}

async function putFiles(
  { url: to, folder: root }: Task,
  atOnce: number,
  options: UploadOptions,
): Promise<void> {
  await using client = new HttpClient()
  await runLanes(await readdir(root), atOnce, async (name) => {
    await upload(join(root, name), to, { ...options, client }).result
  })
}

/** Adding is part of it. */
async function putByOutbox(
  { url: to, folder: root, outboxPath: path }: Task,
  atOnce: number,
): Promise<void> {
  await using outbox = await openSqliteOutbox({ path })
  const items = await addFolder(outbox, root, { mode: 'reference' })
  await using sender = new OutboxSender(outbox, { protocol: 'tus', files: atOnce })
  for (const outcome of await sender.send(items, to)) {
    if (outcome.type === 'failed') throw outcome.error
  }
}

async function runLanes<Item>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const left = items.values()
  const runLane = async (): Promise<void> => {
    for (const item of left) await work(item)
  }
  await Promise.all(Array.from({ length: atOnce }, runLane))
}

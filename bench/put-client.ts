/**
 * The process that sends one file: `put-client.ts HOW URL FILE [OUTBOX]`. Prints, as JSON, how long it
 * took from loading the library on; node's own start is not in it.
 */
import { createReadStream } from 'node:fs'
import type { UploadProtocolName } from 'ferry/upload'
import { reportAndExit } from './work-report.ts'

/** How a file goes: from where it is, by an outbox, or by the peer. */
export type PutWay =
  | UploadProtocolName
  | 'outbox by reference'
  | 'outbox, stored before'
  | 'tus-js-client'

interface Put {
  readonly url: string
  readonly path: string
  readonly outboxPath: string
}

const WAYS: Readonly<Record<PutWay, (put: Put) => Promise<void>>> = {
  indexedcp: (put) => putFile('indexedcp', put),
  tus: (put) => putFile('tus', put),
  ietf: (put) => putFile('ietf', put),
  'outbox by reference': putByReference,
  'outbox, stored before': putStored,
  'tus-js-client': putByTusJsClient,
}

const [way = '', url = '', path = '', outboxPath = ''] = process.argv.slice(2)
const put = WAYS[way as PutWay]
if (put === undefined) throw new Error(`Cannot measure ${way}: no such way`)
const startedAt = performance.now()
await put({ url, path, outboxPath })
reportAndExit({ ownMs: performance.now() - startedAt })

async function putFile(protocol: UploadProtocolName, { url: to, path: file }: Put): Promise<void> {
  const { upload } = await import('ferry/upload')
  await upload(file, to, { protocol }).result
}

async function putByReference({ url: to, path: file, outboxPath: db }: Put): Promise<void> {
  const { addFile, openSqliteOutbox, sendItem } = await import('ferry/upload')
  await using outbox = await openSqliteOutbox({ path: db })
  const { id } = await addFile(outbox, file, { mode: 'reference', name: 'file.bin' })
  await using lease = await outbox.lease(id)
  if (lease === undefined) throw new Error('Cannot send what somebody else has')
  await sendItem(lease, to, { protocol: 'tus' })
}

/** What another process has put into the outbox. */
async function putStored({ url: to, outboxPath: db }: Put): Promise<void> {
  const { openSqliteOutbox, sendItem } = await import('ferry/upload')
  await using outbox = await openSqliteOutbox({ path: db })
  for (const { id } of await outbox.list()) {
    await using lease = await outbox.lease(id)
    if (lease !== undefined) await sendItem(lease, to, { protocol: 'tus' })
  }
}

async function putByTusJsClient({ url: to, path: file }: Put): Promise<void> {
  const { Upload } = await import('tus-js-client')
  await new Promise<void>((resolve, reject) => {
    new Upload(createReadStream(file), {
      endpoint: to,
      metadata: { filename: 'file.bin' },
      onSuccess: () => resolve(),
      onError: reject,
    }).start()
  })
}

/**
 * The process that adds one file to a new outbox: `put-outbox-client.ts MODE OUTBOX FILE`. Prints, as
 * JSON, how long the adding took, from opening the outbox on.
 */
import { type AddFileOptions, addFile, openSqliteOutbox } from 'ferry/upload'

const [mode = '', path = '', file = ''] = process.argv.slice(2)
const startedAt = performance.now()
const outbox = await openSqliteOutbox({ path })
await addFile(outbox, file, { mode: mode as AddFileOptions['mode'], name: 'file.bin' })
const ownMs = performance.now() - startedAt
await outbox.close()
process.stdout.write(JSON.stringify({ ownMs }))

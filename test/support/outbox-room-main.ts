/**
 * A process whose outbox is on a disk that another one fills: it adds a file, lets the disk be full to
 * the last byte, sends, and sends again once there is room. Arguments: the folder, and the URL that
 * uploads are taken at. It says what has happened, a line each.
 */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { openSqliteOutbox, UploadClient } from '../../packages/ferry/src/upload/index.ts'

const MIB = 1_048_576

const [folder = '', url = ''] = process.argv.slice(2)
await using outbox = await openSqliteOutbox({ path: join(folder, 'outbox.db') })
await using client = new UploadClient({ outbox, apiKey: 'none', initialRetryDelay: 1 })
await client.addStream(Buffer.alloc(2 * MIB, 'a'), 'a')

fill(join(folder, 'other'))
await attempt('add', () => client.addStream(Buffer.alloc(MIB), 'b'))
await attempt('send', () => client.uploadBufferedFiles(url))
console.log(`left ${(await client.getBufferedFiles()).join(' ')}`)

rmSync(join(folder, 'other'))
await attempt('send', () => client.uploadBufferedFiles(url))
console.log(`left ${(await client.getBufferedFiles()).join(' ')}`)

/** Takes all the room that there is. */
function fill(path: string): void {
  const file = openSync(path, 'w')
  for (const bytes of [MIB, 4096]) {
    try {
      for (;;) if (writeSync(file, Buffer.alloc(bytes)) < bytes) break
    } catch {
      // That was the last.
    }
  }
  closeSync(file)
}

async function attempt(what: string, work: () => Promise<unknown>): Promise<void> {
  try {
    console.log(`${what}: ${JSON.stringify(await work())}`)
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    console.log(`${what} failed: ${code} ${message}`)
  }
}

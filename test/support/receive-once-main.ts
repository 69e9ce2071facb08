/**
 * A process that receives one upload into the folder named as its argument, in two pieces, and says
 * `ack` and `done` at once when each is acknowledged.
 */
import { writeSync } from 'node:fs'
import { Readable } from 'node:stream'
import { UploadFolder } from 'ferry/receive'

const PIECE_BYTES = 600_000

await using folder = await UploadFolder.open(process.argv[2] as string)
const { core } = folder
const { id } = await core.create({ length: 2 * PIECE_BYTES, name: 'one.bin' })
await core.append(id, 0, pieceOf())
writeSync(1, 'ack\n')
await core.append(id, PIECE_BYTES, pieceOf())
writeSync(1, 'done\n')

function pieceOf(): Readable {
  const chunk = Buffer.alloc(PIECE_BYTES / 10, 7)
  return Readable.from(Array.from({ length: 10 }, () => chunk))
}

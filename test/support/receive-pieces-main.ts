/**
 * A process that receives one upload into a folder, piece by piece, and waits for a line on its
 * standard input whenever that fails.
 *
 *     node receive-pieces-main.ts FOLDER PIECE_BYTES COUNT
 *
 * It says `ready`, then `fail CODE OFFSET` for each failure, and `done` at the end.
 */
import { once } from 'node:events'
import { writeSync } from 'node:fs'
import { Readable } from 'node:stream'
import { isFerryError } from 'ferry/errors'
import { UploadFolder } from 'ferry/receive'
import { seededContent } from './receive-content.ts'

const [path = '', pieceBytes = '', count = ''] = process.argv.slice(2)
const length = Number(pieceBytes) * Number(count)
await using folder = await UploadFolder.open(path)
const { core } = folder
const { id } = await core.create({ length, name: 'all.bin' })
writeSync(1, 'ready\n')
await once(process.stdin, 'data')
while (core.status(id).state !== 'completed') {
  const { offset } = core.status(id)
  const piece = seededContent(1, offset, Math.min(length, offset + Number(pieceBytes)))
  try {
    await core.append(id, offset, Readable.from([piece]))
  } catch (error) {
    writeSync(
      1,
      `fail ${isFerryError(error) ? error.code : String(error)} ${core.status(id).offset}\n`,
    )
    await once(process.stdin, 'data')
  }
}
writeSync(1, 'done\n')
process.stdin.destroy()

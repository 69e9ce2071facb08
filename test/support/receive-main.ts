/**
 * A process that receives into the folder named as its argument, from itself, for ever: goes on with
 * what is unfinished there, or begins new uploads, and says at once what was acknowledged.
 *
 *     ack ID END      bytes up to END are acknowledged
 *     span ID START END
 *     done ID NAME    the file is finished
 *     gone ID         the upload is being given up
 */
import { randomInt } from 'node:crypto'
import { writeSync } from 'node:fs'
import { Readable } from 'node:stream'
import { UploadFolder, type UploadStatus } from 'ferry/receive'
import { seededContent } from './receive-content.ts'

const LANES = 3
const MAX_LENGTH = 300_000
const MAX_PIECE = 90_000

// Journals are written anew all the time, so that kills hit that too.
const options = { checkpointMs: 5, maxJournalBytes: 600 }
const folder = await UploadFolder.open(process.argv[2] as string, options)
const { core } = folder
const unfinished = [...core.list()].filter(({ state }) => state === 'unfinished')
await Promise.all(Array.from({ length: LANES }, runLane))

async function runLane(): Promise<void> {
  for (;;) {
    const upload = unfinished.pop() ?? (await create())
    // Now and then one is given up.
    if (randomInt(10) === 0) await giveUp(upload)
    else if (upload.id.endsWith('0')) await sendPieces(upload)
    else await sendInOrder(upload)
  }
}

async function giveUp({ id }: UploadStatus): Promise<void> {
  say(`gone ${id}`)
  await core.terminate(id)
}

function create(): Promise<UploadStatus> {
  const seed = randomInt(1_000_000)
  const length = randomInt(MAX_LENGTH)
  return core.create({ length, name: `${seed}-${length}.bin`, metadata: { seed: String(seed) } })
}

async function sendInOrder({ id, offset, length = 0, metadata }: UploadStatus): Promise<void> {
  let end = offset
  while (end < length) {
    const start = end
    end = Math.min(length, start + 1 + randomInt(MAX_PIECE))
    await core.append(id, start, contentOf(metadata, start, end))
    say(`ack ${id} ${end}`)
  }
  sayDone(id)
}

/** What is missing, from behind, two at a time. */
async function sendPieces({ id, spans, length = 0, metadata }: UploadStatus): Promise<void> {
  const ends = [...spans.map(({ start }) => start), length]
  const starts = [0, ...spans.map(({ end }) => end)]
  for (const [index, start] of [...starts.entries()].toReversed()) {
    const end = ends[index] as number
    const middle = Math.floor((start + end) / 2)
    await Promise.all([sendPiece(middle, end), sendPiece(start, middle)])
  }
  sayDone(id)

  async function sendPiece(start: number, end: number): Promise<void> {
    if (start === end) return
    await core.write(id, start, contentOf(metadata, start, end), { contentLength: end - start })
    say(`span ${id} ${start} ${end}`)
  }
}

function contentOf(metadata: UploadStatus['metadata'], start: number, end: number): Readable {
  const bytes = seededContent(Number(metadata['seed']), start, end)
  const middle = randomInt(bytes.length)
  return Readable.from([bytes.subarray(0, middle), bytes.subarray(middle)])
}

function sayDone(id: string): void {
  const { state, name } = core.status(id)
  if (state === 'completed') say(`done ${id} ${name}`)
}

/** Without a queue in between: what was said is with the parent, whatever happens then. */
function say(line: string): void {
  writeSync(1, `${line}\n`)
}

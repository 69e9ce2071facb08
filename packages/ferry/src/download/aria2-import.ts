/**
 * Goes on with what aria2 has left: a file under its final name, and beside it `NAME.aria2` that says
 * which of its pieces are there. aria2 keeps no validator, so each piece that is gone on from is
 * compared with the server's.
 */
import { readFile, rename, stat, unlink } from 'node:fs/promises'
import { TransferError } from '../errors.ts'
import { SpanSet } from '../transfer/span.ts'
import { type Aria2Progress, decodeAria2Control } from './lists/aria2-control.ts'
import { fileError } from '../transfer/files.ts'
import type { PartPlace } from './part-place.ts'
import { Journal } from './resume-record.ts'
import type { Source } from './source.ts'

/** Whether the target is one that aria2 has begun, and nothing of ours stands in its place. */
export async function isBegunByAria2(place: PartPlace): Promise<boolean> {
  const control = await stat(controlPathOf(place)).catch(() => undefined)
  if (control?.isFile() !== true || (await place.partSize()) !== undefined) return false
  return place.targetExists()
}

/**
 * Makes the target a partial file of ours. A crash in between leaves aria2's files as they were, or
 * ours complete.
 * @throws {TransferError} target-exists, when the control file is none that can be used
 */
export async function importAria2Part(place: PartPlace, source: Source): Promise<void> {
  const controlPath = controlPathOf(place)
  const bytes = await readFile(controlPath).catch((cause: unknown) => {
    throw fileError(`Cannot read ${controlPath}`, cause)
  })
  const { size, spans } = decode(bytes, place)
  const journal = await Journal.create(place.journalPath, {
    source,
    identity: { size },
    spans: new SpanSet(spans),
  })
  await journal.close()
  try {
    await rename(place.target, place.partPath)
  } catch (cause) {
    throw fileError(`Cannot take over ${place.target}`, cause)
  }
  await unlink(controlPath).catch(() => {})
}

function decode(bytes: Buffer, place: PartPlace): Aria2Progress {
  try {
    return decodeAria2Control(bytes)
  } catch (cause) {
    throw new TransferError(
      'target-exists',
      `Cannot write ${place.target}: ${controlPathOf(place)} says that it is aria2's, but not what is in it`,
      { cause },
    )
  }
}

function controlPathOf({ target }: PartPlace): string {
  return `${target}.aria2`
}

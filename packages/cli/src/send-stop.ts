/** How an upload is ended before its time, so that a later run can go on with it. */
import { setTimeout as wait } from 'node:timers/promises'
import type { Upload } from 'ferry/upload'

const LOOK_MS = 20
const FINISHING =
  'Finishing the chunk that is on its way, of which the server could not tell later whether it has come; a second Ctrl-C ends at once'

/**
 * Waits until no chunk is on its way of which nobody could tell later whether it has arrived; that is
 * so only with servers of IndexedCP that cannot be asked. Nothing more is sent afterwards.
 * @param note told when there is something to wait for
 */
export async function finishChunk(upload: Upload, note: (sentence: string) => void): Promise<void> {
  if (!isInDoubt(upload)) return
  note(FINISHING)
  upload.pause()
  while (upload.state === 'paused' && isInDoubt(upload)) await wait(LOOK_MS)
}

/**
 * Whether there is a chunk of which nobody can tell whether it has arrived: it stands in the note, from
 * before it is sent until its answer.
 */
export function isInDoubt({ note }: Upload): boolean {
  return note?.protocol === 'indexedcp' && note.state['sending'] !== undefined
}

/**
 * Who writes to an upload: a newer request ends the older ones in its way, waits until what had come
 * of them is committed, and is the only one in its place then.
 */
import type { Span } from '../transfer/span.ts'
import type { CoreContext } from './core-context.ts'
import { finishUpload } from './finish-upload.ts'
import { type AdmittedWrite, receiveContent } from './receive-content.ts'
import { ActiveWrite, type UploadEntry } from './upload-entry.ts'
import { isDue } from './upload-record.ts'
import { interrupted } from './upload-writer.ts'

/**
 * Ends the writers that may meet a span, or all of them; undefined when nobody is in the way, neither
 * they nor the finishing of the upload. After a wait, another one may have come in.
 */
export function clearWay(entry: UploadEntry, span: Span | undefined): Promise<void> | undefined {
  const inWay = [...entry.writes].filter(
    (write) => span === undefined || overlaps(write.span, span),
  )
  return inWay.length > 0 ? endWriters(entry, inWay) : entry.finishing?.catch(() => {})
}

/** Ends writers, and resolves when what came of them is committed, and finished where it was due. */
export async function endWriters(
  { id }: UploadEntry,
  writes: Iterable<ActiveWrite>,
): Promise<void> {
  const ended = [...writes]
  for (const write of ended) write.stop(interrupted(id, 'replaced'))
  await Promise.all(ended.map(({ settled }) => settled))
}

/** Writes what was let in; resolves when it is acknowledged. */
export async function runWrite(
  context: CoreContext,
  write: Omit<AdmittedWrite, 'active' | 'onPromised'>,
): Promise<void> {
  const { entry, offset, contentLength = Number.POSITIVE_INFINITY } = write
  const span = { start: offset, end: offset + contentLength }
  const active = new ActiveWrite(span)
  const { promise: promised, resolve: onPromised } = Promise.withResolvers<void>()
  const work = receive(context, { ...write, active, onPromised })
  // Rejects before it is promised, or for nobody.
  work.catch(() => entry.promised.remove(span))
  await Promise.race([work, promised])
}

async function receive(context: CoreContext, write: AdmittedWrite): Promise<void> {
  const { entry, active } = write
  entry.writes.add(active)
  try {
    await receiveContent(context, write)
    active.noteCommit()
    if (isDue(entry.facts)) await finishUpload(context, entry)
  } finally {
    active.noteCommit()
    entry.writes.delete(active)
    active.settle()
  }
}

function overlaps(one: Span, other: Span): boolean {
  return one.start < other.end && other.start < one.end
}

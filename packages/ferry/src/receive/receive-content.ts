/**
 * One write to an upload: from open files over the last byte to the commit. Whatever ends it early,
 * what had come is committed first, unless it was to be verified.
 */
import { wait } from '../clock.ts'
import { TransferError, UploadError } from '../errors.ts'
import { type Span, SpanSet } from '../transfer/span.ts'
import { sourceOf, type UploadContent } from './byte-source.ts'
import type { CoreContext } from './core-context.ts'
import type { UploadBlob } from './blob-store.ts'
import { PaceWatch } from './pace-watch.ts'
import { decideContent, decideEnd, decideLength } from './upload-decisions.ts'
import type { ActiveWrite, UploadEntry } from './upload-entry.ts'
import type { WriteOptions } from './upload-options.ts'
import { extentOf } from './upload-record.ts'
import { interrupted, UploadWriter } from './upload-writer.ts'

/** How often a writer looks whether there is room left on the disk. */
const ROOM_CHECK_BYTES = 67_108_864

/** A write that was let in. */
export interface AdmittedWrite extends WriteOptions {
  readonly entry: UploadEntry
  readonly active: ActiveWrite
  readonly offset: number
  readonly content: UploadContent
  /** Called when all has come and that is enough for an acknowledgement. */
  readonly onPromised: () => void
}

/**
 * Resolves when everything that the content brought is acknowledged.
 * @throws {UploadError} upload-interrupted, upload-too-large, length-mismatch, quota-exceeded,
 *   insufficient-storage, digest-mismatch, content-mismatch
 */
export async function receiveContent(context: CoreContext, write: AdmittedWrite): Promise<void> {
  const { entry, offset, contentLength = 0 } = write
  const unannounced = Math.max(0, offset + contentLength - entry.chargedBytes)
  await checkRoom(context, neededBytes(context, entry, contentLength, unannounced))
  await context.blobs.use(entry.id, (blob) => receiveInto(context, write, blob))
}

/** What was announced has its room; what was not needs room beside that of the others. */
function neededBytes(
  context: CoreContext,
  entry: UploadEntry,
  bytes: number,
  unannounced: number,
): number {
  return entry.length === undefined ? context.usage.expectedBytes + unannounced : bytes
}

/** @throws {UploadError} insufficient-storage, when so many more bytes would use up the reserve */
export async function checkRoom(context: CoreContext, bytes: number): Promise<void> {
  const { limits } = context.settings
  const freeBytes = await context.room.take(bytes, limits.reserveBytes)
  if (freeBytes === undefined) return
  throw new UploadError(
    'insufficient-storage',
    `Cannot take ${bytes} bytes that are announced: ` +
      `of ${freeBytes} free ones ${limits.reserveBytes} are kept back`,
    { detail: { freeBytes, reserveBytes: limits.reserveBytes } },
  )
}

/** Counts bytes up to `end` for the owner of an upload. @throws {UploadError} quota-exceeded */
export function charge(context: CoreContext, entry: UploadEntry, end: number): void {
  if (end <= entry.chargedBytes) return
  context.usage.take(entry.owner, end - entry.chargedBytes)
  entry.chargedBytes = end
}

/**
 * Has the length of the whole journaled with the next commit.
 * @throws {UploadError} quota-exceeded, insufficient-storage
 */
export function announceLength(
  context: CoreContext,
  entry: UploadEntry,
  length: number,
): Promise<void> {
  // Whoever says the same meanwhile waits for the same.
  if (entry.pendingLength !== length) entry.announcing = announce(context, entry, length)
  return entry.announcing
}

async function announce(context: CoreContext, entry: UploadEntry, length: number): Promise<void> {
  entry.pendingLength = length
  try {
    const growth = Math.max(0, length - entry.chargedBytes)
    if (growth > 0) await checkRoom(context, context.usage.expectedBytes + growth)
    charge(context, entry, length)
  } catch (error) {
    entry.pendingLength = undefined
    throw error
  }
  entry.pending.push({ type: 'length', length })
}

async function receiveInto(
  context: CoreContext,
  write: AdmittedWrite,
  blob: UploadBlob,
): Promise<void> {
  const { entry, offset, contentLength, active, digest, piece = false, signal } = write
  let uncheckedBytes = 0
  const writer: UploadWriter = new UploadWriter(sourceOf(write.content), {
    id: entry.id,
    offset,
    blob,
    committed: entry.facts.spans,
    digest,
    whole: piece,
    losses: () => entry.losses,
    admit(end) {
      const refusal =
        decideContent(entry.id, { offset, contentLength, end }) ??
        decideEnd(entry, end, context.settings.limits.maxUploadBytes)
      if (refusal !== undefined) throw refusal
      charge(context, entry, end)
      // Before the length is known every byte may be behind the end, also when its write fails half-way.
      if (end > (entry.facts.length ?? 0)) entry.isTidy = false
    },
    onReceived(bytes) {
      pace.note(bytes)
      uncheckedBytes += bytes
      if (uncheckedBytes < ROOM_CHECK_BYTES) return
      uncheckedBytes = 0
      context.room.forget()
      checkRoom(context, neededBytes(context, entry, 0, 0)).catch((error: unknown) =>
        writer.stop(error as Error),
      )
    },
    onStored: (span) => context.noteStored(entry, span),
    onWritten: (span) => entry.written.add(span),
  })
  const pace = watchPace(context, entry.id, writer)
  const isWhole = piece || digest !== undefined
  const checkpoints = isWhole ? undefined : startCheckpoints(context, entry, writer)
  const onAbort = (): void => active.stop(signal?.reason as Error)
  signal?.addEventListener('abort', onAbort, { once: true })
  if (signal?.aborted === true) onAbort()
  active.begin(writer)
  let failure: Error | undefined
  try {
    failure = await writer.run()
  } finally {
    pace.close()
    checkpoints?.close()
    signal?.removeEventListener('abort', onAbort)
  }
  if (failure === undefined) await acknowledge(context, write, writer)
  else await keepWhatCame(context, write, writer, failure)
}

async function acknowledge(
  context: CoreContext,
  write: AdmittedWrite,
  writer: UploadWriter,
): Promise<void> {
  const { entry, offset, contentLength, final = false, piece = false } = write
  const span = { start: offset, end: writer.position }
  if (contentLength !== undefined && span.end !== offset + contentLength) {
    await keepWhatCame(context, write, writer, interrupted(entry.id, 'lost'))
  }
  if (context.settings.ack === 'memory') promise(write, span)
  try {
    await writer.finish()
  } catch (error) {
    // What was written before the disk failed counts, as after every early end.
    await keepWhatCame(context, write, writer, error as Error)
  }
  const { maxUploadBytes } = context.settings.limits
  // The length may have become known since the last byte came.
  const refusal = final
    ? decideLength(entry, span.end, maxUploadBytes)
    : decideEnd(entry, span.end, maxUploadBytes)
  if (refusal !== undefined) await keepWhatCame(context, write, writer, refusal)
  if (!isHeld(entry, span)) await keepWhatCame(context, write, writer, uncommitted(entry.id, span))
  if (final) {
    entry.pendingLength = span.end
    entry.pending.push({ type: 'length', length: span.end }, { type: 'told' })
  }
  if (piece) entry.pending.push({ type: 'piece', ...span })
  await context.commit(entry)
  if (!entry.facts.spans.covers(span)) throw uncommitted(entry.id, span)
}

/** Acknowledges what is only in memory, unless it was to be checked or is the last. */
function promise(write: AdmittedWrite, span: Span): void {
  const { entry, digest, final, piece, onPromised } = write
  const { facts, promised } = entry
  const all = new SpanSet([...facts.spans, ...entry.written, ...promised, span])
  const isLast = facts.length !== undefined && all.covers({ start: 0, end: facts.length })
  if (digest !== undefined || final === true || piece === true || isLast) return
  promised.add(span)
  onPromised()
}

/** Whether all of a span is committed, or in the blob and to be committed. */
function isHeld({ facts, written }: UploadEntry, span: Span): boolean {
  return facts.spans.gapsWithin(span).every((gap) => written.covers(gap))
}

/** A commit that others had asked for may have failed before, and have dropped some of the bytes. */
function uncommitted(id: string, { start, end }: Span): TransferError {
  return new TransferError(
    'disk-failed',
    `Cannot keep bytes ${start} to ${end - 1} of upload ${id}: the disk has failed meanwhile`,
  )
}

/** @throws the failure, always */
async function keepWhatCame(
  context: CoreContext,
  { entry, piece }: AdmittedWrite,
  writer: UploadWriter,
  failure: Error,
): Promise<never> {
  await writer.flush()
  await context.commit(entry)
  // Where the file is seen already, nothing of a piece that did not come whole is to stay in it.
  if (piece === true && entry.writes.size === 1) {
    await context.blobs.use(entry.id, (blob) =>
      context.truncate(entry, blob, extentOf(entry.facts)),
    )
  }
  throw failure
}

function watchPace(context: CoreContext, id: string, writer: UploadWriter): PaceWatch {
  const { clock, limits } = context.settings
  const { idleTimeoutMs, minBytesPerSecond } = limits
  const bytesPerWindow = Math.max(1, (minBytesPerSecond * idleTimeoutMs) / 1000)
  return new PaceWatch(clock, { windowMs: idleTimeoutMs, bytesPerWindow }, () => {
    // Not the sender's fault when the disk holds it back.
    if (!writer.isHeldBack) writer.stop(interrupted(id, 'slow'))
  })
}

/** Commits from time to time what has come, so that a crash costs a moment and not the whole. */
function startCheckpoints(
  context: CoreContext,
  entry: UploadEntry,
  writer: UploadWriter,
): { close(): void } {
  const { clock, checkpointMs } = context.settings
  const closing = new AbortController()
  const run = async (): Promise<void> => {
    let position = writer.position
    for (;;) {
      await wait(checkpointMs, closing.signal, clock)
      if (writer.position === position) continue
      position = writer.position
      await writer.flush()
      await context.commit(entry)
    }
  }
  run().catch((error: unknown) => {
    if (!closing.signal.aborted) writer.stop(error as Error)
  })
  return { close: () => closing.abort() }
}

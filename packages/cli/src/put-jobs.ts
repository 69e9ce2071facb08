/** What `ferry put` sends, as jobs: each file itself or, noted or copied there first, from the outbox. */
import { stat } from 'node:fs/promises'
import { isFerryError } from 'ferry/errors'
import type { HttpUrl } from 'ferry/transport'
import {
  FileSource,
  type Outbox,
  type OutboxItem,
  type Upload,
  upload as startUpload,
} from 'ferry/upload'
import type { ShownProgress } from './progress-view.ts'
import { type PutFile, STANDARD_INPUT } from './put-files.ts'
import { PutNotes } from './put-notes.ts'
import type { PutOptions } from './put-options.ts'
import { isRefusal } from './send-failure.ts'
import { sendFromOutbox, type SendJob, type SendRunContext } from './send-run.ts'
import { isInDoubt } from './send-stop.ts'
import type { SendTask } from './send-task.ts'
import { openStandardInput } from './standard-input.ts'

/** Where files go, and by which way. */
export interface PutPlace {
  readonly url: HttpUrl
  readonly options: Pick<PutOptions, 'copy' | 'outbox'>
  /** Its owner's to close. */
  readonly outbox: Outbox
}

/** What a file has become in the outbox, or why it has not. */
type Prepared = { readonly item: OutboxItem; readonly isNew: boolean } | { readonly error: Error }

const RUN_AGAIN = 'Run the same command again'

/** Jobs that keep nothing. */
export function createDirectJobs(files: readonly PutFile[], url: HttpUrl): SendJob[] {
  return files.map((file) => ({
    ...shownOf(file, url),
    goOn: `${RUN_AGAIN}, which begins anew`,
    send: async (options, onStart) => {
      if (file.error !== undefined) throw file.error
      const input = file.path === STANDARD_INPUT ? openStandardInput() : file.path
      const running = startUpload(input, url, { ...options, name: file.name })
      onStart(running)
      return await running.result
    },
  }))
}

/**
 * Notes files in the outbox, or copies them there, unless an earlier run has; gives a job for each.
 * @throws what the outbox throws, and `signal.reason`
 */
export async function createNotedJobs(
  files: readonly PutFile[],
  place: PutPlace,
  context: SendRunContext,
): Promise<SendJob[]> {
  const notes = await PutNotes.open(place.outbox, place.url)
  const prepared = new Map<PutFile, Prepared>()
  const isCopied = ({ path }: PutFile): boolean =>
    place.options.copy === true || path === STANDARD_INPUT
  for (const file of files) {
    context.signal.throwIfAborted()
    const wants = isCopied(file) ? 'copy' : 'reference'
    const found =
      file.error === undefined
        ? await tryTo(() => notes.find(file, wants))
        : (notes.findCopy(file) ?? file.error)
    if (found instanceof Error) prepared.set(file, { error: found })
    else if (found !== undefined) prepared.set(file, { item: found, isNew: false })
  }
  const referred = files.filter((file) => !isCopied(file) && !prepared.has(file))
  await referAll(referred, { notes, prepared, signal: context.signal })
  const copied = [...files.entries()].filter(([, file]) => isCopied(file) && !prepared.has(file))
  await copyAll(copied, { notes, prepared, url: place.url, context })
  return files.map((file) => notedJob(file, prepared.get(file) as Prepared, place))
}

async function referAll(
  files: readonly PutFile[],
  {
    notes,
    prepared,
    signal,
  }: {
    readonly notes: PutNotes
    readonly prepared: Map<PutFile, Prepared>
    readonly signal: AbortSignal
  },
): Promise<void> {
  const opened: (PutFile & { readonly file: PutFile; readonly source: FileSource })[] = []
  for (const file of files) {
    signal.throwIfAborted()
    // It is looked at, not kept open.
    const source = await tryTo(() => FileSource.open(file.path))
    if (source instanceof Error) prepared.set(file, { error: source })
    else opened.push({ ...file, file, source })
  }
  const items = await notes.refer(opened, signal)
  for (const [index, item] of items.entries()) {
    const { file } = opened[index] as (typeof opened)[number]
    prepared.set(file, { item, isNew: true })
  }
}

/** Copies one after the other, and tells how far it is. */
async function copyAll(
  files: readonly (readonly [index: number, file: PutFile])[],
  {
    notes,
    prepared,
    url,
    context: { reporter, signal },
  }: {
    readonly notes: PutNotes
    readonly prepared: Map<PutFile, Prepared>
    readonly url: HttpUrl
    readonly context: SendRunContext
  },
): Promise<void> {
  if (files.length === 0) return
  reporter.begin(files.length)
  const copies: { readonly file: PutFile; readonly item: OutboxItem }[] = []
  for (const [index, file] of files) {
    const copying = await Copying.begin(file)
    const look = (): ShownProgress => copying.look()
    const task: SendTask = { step: 'copy', number: index + 1, ...shownOf(file, url), look }
    reporter.start(task)
    const onProgress = (bytes: number): void => copying.note(bytes)
    const item = await tryTo(() => notes.copy(file, { signal, onProgress }))
    reporter.stop(task)
    signal.throwIfAborted()
    if (item instanceof Error) prepared.set(file, { error: item })
    else copies.push({ file, item })
  }
  const items = await notes.withoutTwins(copies.map(({ item }) => item))
  for (const [index, item] of items.entries()) {
    prepared.set((copies[index] as (typeof copies)[number]).file, { item, isNew: true })
  }
}

/** A copy that is being made. */
class Copying {
  readonly #size: number | undefined
  readonly #startedAt = performance.now()
  #bytes = 0

  private constructor(size: number | undefined) {
    this.#size = size
  }

  static async begin({ path }: PutFile): Promise<Copying> {
    if (path === STANDARD_INPUT) return new Copying(undefined)
    const stats = await stat(path).catch(() => undefined)
    return new Copying(stats?.size)
  }

  note(bytes: number): void {
    this.#bytes = bytes
  }

  look(): ShownProgress {
    const elapsedMs = Math.max(1, performance.now() - this.#startedAt)
    return {
      state: 'copying',
      size: this.#size,
      receivedBytes: this.#bytes,
      bytesPerSecond: (this.#bytes * 1000) / elapsedMs,
    }
  }
}

function notedJob(
  file: PutFile,
  prepared: Prepared,
  { url, options: { outbox: path }, outbox }: PutPlace,
): SendJob {
  const shown = shownOf(file, url)
  if ('error' in prepared) {
    return { ...shown, goOn: RUN_AGAIN, send: () => Promise.reject(prepared.error) }
  }
  const { item } = prepared
  let started: Upload | undefined
  const { size } = item
  const resume =
    path === undefined ? 'ferry outbox send' : `ferry outbox send --outbox ${quoted(path)}`
  return {
    ...shown,
    size,
    goOn:
      file.path === STANDARD_INPUT
        ? `It is kept in the outbox: ${resume} goes on`
        : `${RUN_AGAIN}, or ${resume}, to go on`,
    send: (sending, onStart) => {
      const onUpload = (running: Upload): void => onStart((started = running))
      return sendFromOutbox(outbox, item.id, { url, options: sending, onStart: onUpload })
    },
    afterFailure: async (error) => {
      if (!isVain(error, prepared, started)) return undefined
      // One that stays is found by the next run, or by ferry outbox list.
      await outbox.remove(item.id).catch(() => {})
      return RUN_AGAIN
    },
  }
}

/**
 * A note that serves nobody: of a version that is gone; or of a file that the server refuses and has
 * nothing of, when no earlier run has left it.
 */
function isVain(
  error: Error,
  { item, isNew }: Extract<Prepared, { item: OutboxItem }>,
  upload: Upload | undefined,
): boolean {
  if (item.content.mode === 'stored') return false
  if (isFerryError(error, 'source-changed')) return true
  if (!isNew || !isRefusal(error)) return false
  return upload === undefined || (upload.progress().acknowledgedBytes === 0 && !isInDoubt(upload))
}

/** What a piece of work gives, or what it throws. */
async function tryTo<Result>(work: () => Promise<Result>): Promise<Result | Error> {
  try {
    return await work()
  } catch (error) {
    return error as Error
  }
}

/** As it can be pasted into a shell. */
function quoted(path: string): string {
  return /^[\w./+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}

function shownOf({ path, name }: PutFile, url: HttpUrl): Pick<SendTask, 'name' | 'url' | 'path'> {
  return { name, url, path: path === STANDARD_INPUT ? undefined : path }
}

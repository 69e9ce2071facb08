/** `indexcp add`, `list` and `clear`: what is in the buffer. */
import { addFile, type Outbox, type OutboxItem } from 'ferry/upload'
import { EXIT_OK } from './exit-codes.ts'
import { canAsk, confirm } from './outbox-confirm.ts'
import type { OutboxConsole } from './outbox-console.ts'
import { describeOutboxFailure } from './outbox-failure.ts'
import { countFiles, describeItem, itemFields, OnceBook, removeAll } from './outbox-items.ts'

/** What these commands work with. */
export interface BufferContext {
  readonly outbox: Outbox
  readonly console: OutboxConsole
  readonly signal: AbortSignal
  /** Called when Ctrl-C is pressed where something is typed. */
  readonly interrupt: () => void
}

// As clients of IndexedCP have it.
const CHUNK_BYTES = 1_048_576

/** Adds files, each by itself; resolves with the exit code of the first that could not be. */
export async function addToBuffer(
  files: readonly string[],
  context: BufferContext,
): Promise<number> {
  const { console, signal } = context
  const once = await OnceBook.open(context.outbox)
  let exitCode = EXIT_OK
  try {
    for (const file of files) {
      try {
        await addOne(file, once, context)
      } catch (error) {
        signal.throwIfAborted()
        const failure = describeOutboxFailure(error as Error, 'indexcp add')
        console.failed({ ...failure, name: file })
        if (exitCode === EXIT_OK) exitCode = failure.exitCode
      }
    }
  } finally {
    await once.settle()
  }
  return exitCode
}

/** Adds one file; gives what stands for it in the buffer, which may be there from before. */
export async function addToSend(file: string, context: BufferContext): Promise<OutboxItem> {
  const once = await OnceBook.open(context.outbox)
  const item = await addOne(file, once, context)
  return (await once.settle()).get(item.id) ?? item
}

/** Adds one file, and tells of it. */
async function addOne(
  file: string,
  once: OnceBook,
  { outbox, console, signal }: BufferContext,
): Promise<OutboxItem> {
  const added = await addFile(outbox, file, { partBytes: CHUNK_BYTES, signal })
  const { item, wasThere } = await once.keep(added)
  console.value({ event: 'added', ...bufferFields(item), wasThere })
  console.say(
    wasThere
      ? `File ${file} is in the buffer already`
      : `File ${file} successfully added to buffer (${countChunks(item)})`,
  )
  return item
}

export async function listBuffer({ outbox, console }: BufferContext): Promise<number> {
  const items = await outbox.list()
  for (const item of items) console.value({ event: 'item', ...bufferFields(item) })
  console.say(items.length === 0 ? 'No buffered files' : `Buffered files (${items.length}):`)
  for (const item of items) console.say(`  ${describeItem(item)}`)
  await console.written()
  return EXIT_OK
}

/** Removes everything that nobody is sending; at a terminal it asks before. */
export async function clearBuffer(
  { force = false }: { readonly force?: boolean | undefined },
  { outbox, console, signal, interrupt }: BufferContext,
): Promise<number> {
  const items = await outbox.list()
  if (!force && !console.isJson && items.length > 0 && canAsk()) {
    const question = `Remove ${countFiles(items.length)} that nobody has received?`
    if (!(await confirm(question, { signal, interrupt }))) {
      console.say('Nothing was removed')
      return EXIT_OK
    }
  }
  const { removed, kept } = await removeAll(outbox, items)
  console.value({ event: 'cleared', removed: removed.length, kept: kept.length })
  console.say(`Buffer cleared: ${countFiles(removed.length)} removed`)
  if (kept.length > 0) console.note(`Kept, since it is being sent: ${countFiles(kept.length)}`)
  return EXIT_OK
}

function bufferFields(item: OutboxItem): object {
  return { ...itemFields(item), chunks: chunksOf(item) }
}

function countChunks(item: OutboxItem): string {
  const chunks = chunksOf(item)
  return chunks === 1 ? '1 chunk' : `${chunks} chunks`
}

function chunksOf({ size }: OutboxItem): number {
  return Math.ceil(size / CHUNK_BYTES)
}

/** `ferry outbox add`, `list`, `remove` and `clear`: what is in the outbox. */
import { resolve } from 'node:path'
import { ConfigError } from 'ferry/errors'
import { addContent, addFile, type Outbox, type OutboxItem } from 'ferry/upload'
import { ENDINGS, EXIT_OK } from './exit-codes.ts'
import { formatBytes } from './format.ts'
import { canAsk, confirm } from './outbox-confirm.ts'
import { OutboxConsole } from './outbox-console.ts'
import { describeOutboxFailure } from './outbox-failure.ts'
import { countFiles, itemFields, OnceBook, removeAll } from './outbox-items.ts'
import { describeItems } from './outbox-list.ts'
import type { AddOptions, OutboxAction } from './outbox-options.ts'
import { findFiles, type PutFile, STANDARD_INPUT } from './put-files.ts'
import { openOutbox } from './send-outbox.ts'
import { openStandardInput } from './standard-input.ts'
import { StopSignals } from './stop-signals.ts'

const EXIT_LOCKED = ENDINGS.locked.exitCode

interface OutboxContext {
  readonly outbox: Outbox
  readonly console: OutboxConsole
  readonly signal: AbortSignal
  readonly interrupt: () => void
}

/** Runs one of these; resolves with its exit code. */
export async function runOutbox(action: OutboxAction): Promise<number> {
  const console = new OutboxConsole('ferry', { json: action.json === true })
  using signals = new StopSignals()
  try {
    await using outbox = await openOutbox(action)
    return await act(action, {
      outbox,
      console,
      signal: signals.signal,
      interrupt: () => signals.interrupt('SIGINT'),
    })
  } catch (error) {
    const failure = describeOutboxFailure(error as Error, `ferry outbox ${action.type}`)
    console.failed(failure)
    return failure.exitCode
  }
}

function act(action: OutboxAction, context: OutboxContext): Promise<number> {
  switch (action.type) {
    case 'add':
      return addAll(action, context)
    case 'list':
      return listItems(context)
    case 'remove':
      return removeItems(action.ids, context)
    case 'clear':
      return clearItems(action.yes === true, context)
  }
}

/** Adds each by itself; what cannot be added does not keep the others out. */
async function addAll(
  { files: words, name, ...options }: Extract<OutboxAction, { type: 'add' }>,
  context: OutboxContext,
): Promise<number> {
  const { console, signal } = context
  const note = (sentence: string): void => console.note(sentence)
  const files = await findFiles(words, { name, note, signal })
  const once = await OnceBook.open(context.outbox)
  let exitCode = EXIT_OK
  try {
    for (const file of files) {
      try {
        if (file.error !== undefined) throw file.error
        await addOne(file, options, { ...context, once })
      } catch (error) {
        signal.throwIfAborted()
        const failure = describeOutboxFailure(error as Error, 'ferry outbox add')
        console.failed({ ...failure, name: file.name })
        if (exitCode === EXIT_OK) exitCode = failure.exitCode
      }
    }
  } finally {
    await once.settle()
  }
  return exitCode
}

async function addOne(
  { path, name }: PutFile,
  options: Pick<AddOptions, 'reference'>,
  { outbox, console, signal, once }: OutboxContext & { readonly once: OnceBook },
): Promise<void> {
  const reference = options.reference === true
  const isInput = path === STANDARD_INPUT
  if (isInput && reference) {
    throw new ConfigError(
      'reference',
      'Cannot note standard input by --reference: it has to be copied',
    )
  }
  const added = isInput
    ? await addContent(outbox, name, openStandardInput(), { signal })
    : await addFile(outbox, path, { name, mode: reference ? 'reference' : 'stored', signal })
  const { item, wasThere } = await once.keep(added)
  console.value({ event: 'added', ...itemFields(item), wasThere })
  const how = reference ? `noted, sent from ${resolve(path)}` : 'added'
  console.say(`${name}: ${formatBytes(item.size)} ${wasThere ? 'are in the outbox already' : how}`)
}

async function listItems({ outbox, console }: OutboxContext): Promise<number> {
  const items = await outbox.list()
  for (const item of items) console.value({ event: 'item', ...itemFields(item) })
  if (!console.isJson) for (const line of describeItems(items, Date.now())) console.say(line)
  await console.written()
  return EXIT_OK
}

/** Removes those whose ids begin so; none of them when one of the beginnings is wrong. */
async function removeItems(
  ids: readonly string[],
  { outbox, console }: OutboxContext,
): Promise<number> {
  const items = await outbox.list()
  const chosen = new Set(ids.map((id) => findItem(items, id)))
  const { removed, kept } = await removeAll(outbox, [...chosen])
  for (const item of removed) {
    console.value({ event: 'removed', ...itemFields(item) })
    console.say(`${item.name}: removed`)
  }
  return tellKept(kept, console)
}

function findItem(items: readonly OutboxItem[], id: string): OutboxItem {
  // An empty one is a variable that nobody has set, rather than the beginning of all.
  if (id === '') throw new ConfigError('id', 'Cannot remove by an empty id')
  const found = items.filter((item) => item.id.startsWith(id.toLowerCase()))
  const [item] = found
  if (item !== undefined && found.length === 1) return item
  const reason = item === undefined ? 'nothing in the outbox has' : 'several files have'
  throw new ConfigError('id', `Cannot remove ${JSON.stringify(id)}: ${reason} an id that begins so`)
}

async function clearItems(
  isSure: boolean,
  { outbox, console, signal, interrupt }: OutboxContext,
): Promise<number> {
  const items = await outbox.list()
  if (!isSure && items.length > 0) {
    if (!canAsk()) {
      throw new ConfigError(
        'yes',
        `Cannot ask whether to remove ${countFiles(items.length)}: expected --yes, or a terminal`,
      )
    }
    const question = `Remove ${countFiles(items.length)} that nobody has received?`
    if (!(await confirm(question, { signal, interrupt }))) {
      console.note('Nothing was removed')
      return EXIT_OK
    }
  }
  const { removed, kept } = await removeAll(outbox, items)
  console.value({ event: 'cleared', removed: removed.length, kept: kept.length })
  console.say(`Removed ${countFiles(removed.length)}`)
  return tellKept(kept, console)
}

/** What is being sent stays. */
function tellKept(kept: readonly OutboxItem[], console: OutboxConsole): number {
  for (const { name } of kept) {
    console.failed({
      code: 'locked',
      exitCode: EXIT_LOCKED,
      message: `Cannot remove ${name}: another ferry is sending it just now. Wait for it, or end it.`,
      name,
    })
  }
  return kept.length === 0 ? EXIT_OK : EXIT_LOCKED
}

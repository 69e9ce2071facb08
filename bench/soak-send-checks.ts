/** What the soak of sending finds in the end: in the server's folder, and in the file of the outbox. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { UploadFolder } from 'ferry/receive'
import { digestOfFile, digestOfItem, itemOf, nameOf } from './soak-send-items.ts'

/** What must not be. */
export interface SendProblem {
  readonly type: 'lost' | 'doubled' | 'wrong' | 'left' | 'failed' | 'stuck'
  readonly text: string
}

/** What was said of items that were added together. */
export interface AddedGroup {
  readonly names: readonly string[]
  /** Adding has returned, and said so. */
  readonly isAdded: boolean
}

/** What a folder holds, under the names that items were sent by. */
export interface ReceivedFiles {
  /** How often each item is there. */
  readonly counts: ReadonlyMap<string, number>
  readonly problems: readonly SendProblem[]
}

const OWN = '.ferry'

/**
 * Reads every finished file.
 * @param verified files that were right before; those that are found right are added
 */
export async function readReceived(folder: string, verified: Set<string>): Promise<ReceivedFiles> {
  const counts = new Map<string, number>()
  const problems: SendProblem[] = []
  for (const fileName of await readdir(folder)) {
    if (fileName === OWN) continue
    const item = itemOf(fileName)
    if (item === undefined) {
      problems.push({ type: 'left', text: `${fileName} at the server is nobody's` })
      continue
    }
    const name = nameOf(item)
    counts.set(name, (counts.get(name) ?? 0) + 1)
    if (verified.has(fileName)) continue
    if ((await digestOfFile(join(folder, fileName))) === digestOfItem(item)) verified.add(fileName)
    else problems.push({ type: 'wrong', text: `${fileName} has another content than was sent` })
  }
  for (const [name, count] of counts) {
    if (count > 1) problems.push({ type: 'doubled', text: `${name} is there ${count} times` })
  }
  return { counts, problems }
}

/** Holds what has arrived against what was added; an add that never returned is there whole or not. */
export function checkDelivery(
  groups: readonly AddedGroup[],
  counts: ReadonlyMap<string, number>,
): SendProblem[] {
  const problems: SendProblem[] = []
  const expected = new Set<string>()
  for (const { names, isAdded } of groups) {
    for (const name of names) expected.add(name)
    const missing = names.filter((name) => !counts.has(name))
    if (missing.length === 0 || (!isAdded && missing.length === names.length)) continue
    const what = isAdded ? 'was added' : 'was added in part'
    problems.push({ type: 'lost', text: `${missing.join(' ')} ${what}, and did not arrive` })
  }
  for (const name of counts.keys()) {
    if (!expected.has(name)) problems.push({ type: 'left', text: `${name} was never to be sent` })
  }
  return problems
}

/** Reads the file of an outbox that everybody has closed: nothing may be in it any more. */
export async function checkOutbox(folder: string, fileName: string): Promise<SendProblem[]> {
  const problems: SendProblem[] = []
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const names = entries.flatMap((entry) => (entry.isDirectory() ? [] : [entry.name]))
  const others = names.filter((name) => name !== fileName)
  if (others.length > 0) {
    problems.push({ type: 'left', text: `beside the outbox: ${others.join(' ')}` })
  }
  const database = new DatabaseSync(join(folder, fileName), { readOnly: true })
  try {
    for (const table of ['outbox_items', 'outbox_parts', 'outbox_holders']) {
      const [count] = Object.values(database.prepare(`SELECT count(*) FROM ${table}`).get() ?? {})
      if (count !== 0) problems.push({ type: 'left', text: `${String(count)} rows of ${table}` })
    }
    const [check] = Object.values(database.prepare('PRAGMA integrity_check').get() ?? {})
    if (check !== 'ok') problems.push({ type: 'wrong', text: `the outbox: ${String(check)}` })
  } finally {
    database.close()
  }
  return problems
}

/**
 * Opens a server's folder as the next server would. An upload that was created for a sender who died
 * before it could note its URL is left there until it expires, but without a byte.
 * @returns how many of them there are
 */
export async function checkUnfinished(
  folder: string,
): Promise<{ readonly created: number; readonly problems: readonly SendProblem[] }> {
  await using opened = await UploadFolder.open(folder)
  const { core } = opened
  const problems: SendProblem[] = core.problems.map(({ type, name }) => ({
    type: 'left',
    text: `${type} ${name}`,
  }))
  let created = 0
  for (const { id, state, spans, metadata, length } of core.list()) {
    if (state === 'completed') continue
    const bytes = spans.reduce((sum, { start, end }) => sum + end - start, 0)
    // Parts stay for as long as what they were put together to.
    if (metadata['filename'] === undefined && bytes === length) continue
    if (bytes === 0) created++
    else problems.push({ type: 'left', text: `upload ${id} with ${bytes} of ${length} bytes` })
  }
  return { created, problems }
}

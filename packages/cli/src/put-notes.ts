/**
 * What `ferry put` keeps in the outbox: each file by its path and version, or as a copy. What an
 * earlier run of the same command has left there is gone on with.
 */
import { resolve } from 'node:path'
import { isFerryError, TransferError } from 'ferry/errors'
import type { HttpUrl } from 'ferry/transport'
import {
  addContent,
  addFile,
  FileSource,
  type NewItem,
  type Outbox,
  type OutboxItem,
} from 'ferry/upload'
import { type PutFile, STANDARD_INPUT } from './put-files.ts'
import { metadataFor, targetOf } from './send-outbox.ts'
import { openStandardInput } from './standard-input.ts'

/** How content is copied. */
export interface CopyOptions {
  readonly signal: AbortSignal
  /** Told of all bytes that are copied by now. */
  readonly onProgress: (bytes: number) => void
}

/** The files of one run in an outbox, which is its owner's to close. */
export class PutNotes {
  readonly #outbox: Outbox
  readonly #url: HttpUrl
  /** What earlier runs have left for the same URL, by `keyOf`. */
  readonly #before: ReadonlyMap<string, OutboxItem>

  private constructor(outbox: Outbox, url: HttpUrl, before: ReadonlyMap<string, OutboxItem>) {
    this.#outbox = outbox
    this.#url = url
    this.#before = before
  }

  static async open(outbox: Outbox, url: HttpUrl): Promise<PutNotes> {
    return new PutNotes(outbox, url, await listByKey(outbox, url))
  }

  /**
   * What an earlier run has left of this very version of a file; undefined when there is nothing, or
   * it was of another version, and is given up.
   * @param wants `copy`: what only refers to the file is given up, too
   * @throws {TransferError} locked, when another process is sending what would have to be given up
   */
  async find(
    { path, name }: PutFile,
    wants: 'copy' | 'reference',
  ): Promise<OutboxItem | undefined> {
    const item = this.#before.get(keyOf(path, name))
    if (item === undefined) return undefined
    const isUsable = wants === 'reference' || item.content.mode === 'stored'
    if (isUsable && (await isSameVersion(path, item))) return item
    const { id } = item
    if ((await this.#outbox.remove(id)) || (await this.#outbox.get(id)) === undefined) {
      return undefined
    }
    throw new TransferError('locked', `Cannot send ${path}: another ferry is sending it just now`)
  }

  /** The copy that an earlier run has made of a file, which may be gone by now; undefined without one. */
  findCopy({ path, name }: PutFile): OutboxItem | undefined {
    const item = this.#before.get(keyOf(path, name))
    return item?.content.mode === 'stored' ? item : undefined
  }

  /** Notes files that stay where they are: all of them or, after a crash, none. */
  async refer(
    files: readonly { readonly name: string; readonly path: string; readonly source: FileSource }[],
    signal: AbortSignal,
  ): Promise<OutboxItem[]> {
    if (files.length === 0) return []
    const items = files.map(({ name, path, source: { size, fingerprint } }): NewItem => ({
      name,
      metadata: metadataFor(this.#url),
      content: { mode: 'reference', path: resolve(path), size, fingerprint, sha256: undefined },
    }))
    return await this.withoutTwins(await this.#outbox.add(items, { signal }))
  }

  /** Copies a file, or standard input; what was copied is to be given to `withoutTwins()`. */
  async copy({ path, name }: PutFile, { signal, onProgress }: CopyOptions): Promise<OutboxItem> {
    const options = { signal, onProgress: (_name: string, bytes: number) => onProgress(bytes) }
    const metadata = metadataFor(this.#url)
    if (path === STANDARD_INPUT) {
      return await addContent(this.#outbox, name, openStandardInput(), { ...options, metadata })
    }
    await using source = await FileSource.open(path)
    return await addFile(this.#outbox, path, {
      ...options,
      name,
      metadata: { ...metadata, path: resolve(path), fingerprint: source.fingerprint },
    })
  }

  /** Another process may have noted the same meanwhile: what came first stays. */
  async withoutTwins(added: readonly OutboxItem[]): Promise<OutboxItem[]> {
    const first = await listByKey(this.#outbox, this.#url)
    const kept: OutboxItem[] = []
    for (const item of added) {
      const path = pathOf(item)
      const twin = (path === undefined ? undefined : first.get(keyOf(path, item.name))) ?? item
      if (twin.id !== item.id) await this.#outbox.remove(item.id)
      kept.push(twin)
    }
    return kept
  }
}

/** Items for a URL that files have become, the first of each, by `keyOf`. */
async function listByKey(outbox: Outbox, url: HttpUrl): Promise<Map<string, OutboxItem>> {
  const items = new Map<string, OutboxItem>()
  for (const item of await outbox.list()) {
    const path = pathOf(item)
    if (path === undefined || targetOf(item) !== url.href) continue
    const key = keyOf(path, item.name)
    if (!items.has(key)) items.set(key, item)
  }
  return items
}

function keyOf(path: string, name: string): string {
  return `${resolve(path)}\0${name}`
}

/** Of the file that an item is, or is a copy of. */
function pathOf({ content, metadata }: OutboxItem): string | undefined {
  return content.mode === 'reference' ? content.path : metadata['path']
}

async function isSameVersion(path: string, { content, metadata }: OutboxItem): Promise<boolean> {
  const fingerprint = content.mode === 'reference' ? content.fingerprint : metadata['fingerprint']
  try {
    await using _source = await FileSource.open(path, { fingerprint })
    return fingerprint !== undefined
  } catch (error) {
    if (isFerryError(error, 'source-changed')) return false
    throw error
  }
}

/**
 * The content of what is too large for the rows of an outbox: files in a folder beside its database,
 * a segment of an item each, so that what is delivered can give its room back by and by.
 *
 * A file is made when the row of its item is there, and removed before the row is: a file without a row
 * is what a crash has left. Every call blocks, and throws the system's errors.
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { Span } from '../transfer/span.ts'

/** An item whose content is here. */
export interface ContentItem {
  readonly id: string
  readonly partBytes: number
}

/** Up to here content is written twice, in the log and in the database, in less time than a file takes. */
const MAX_ROW_BYTES = 1_048_576
const SEGMENT_BYTES = 67_108_864
// So that others get their turn.
const MAX_REMOVED_SEGMENTS = 8
const NAME = /^(?<id>[0-9a-f-]{36})\.\d+$/

/** Whether an item is kept in a row, and not here: it is small, and has no second part. */
export function fitsRow(size: number, partBytes: number): boolean {
  return size <= Math.min(partBytes, MAX_ROW_BYTES)
}

export class OutboxContent {
  readonly #folder: string
  /** The segment that is being written, of each item. */
  readonly #open = new Map<string, { readonly fd: number; readonly index: number }>()
  /** There are new files whose names may not survive a power cut. */
  #hasNewNames = false

  /** @param folder of this database alone; made when it is needed, in the folder of all content */
  constructor(folder: string) {
    this.#folder = folder
  }

  /** Writes a part; they come in order. */
  write(item: ContentItem, offset: number, bytes: Uint8Array): void {
    const { id } = item
    const segmentBytes = segmentBytesOf(item)
    const index = Math.floor(offset / segmentBytes)
    if (this.#open.get(id)?.index !== index) {
      this.finish(id)
      this.#open.set(id, { fd: this.#create(this.#pathOf(id, index)), index })
    }
    const { fd } = this.#open.get(id)!
    const start = offset % segmentBytes
    for (let done = 0; done < bytes.length;) {
      done += writeSync(fd, bytes, done, bytes.length - done, start + done)
    }
  }

  /** Makes what was written of an item survive a power cut, but for the names of its files. */
  finish(id: string): void {
    const segment = this.#open.get(id)
    if (segment === undefined) return
    try {
      fsyncSync(segment.fd)
    } finally {
      this.drop(id)
    }
  }

  /** Makes the names of all files survive it. */
  keepNames(): void {
    if (!this.#hasNewNames) return
    syncFolder(this.#folder)
    this.#hasNewNames = false
  }

  /** Writes no more of an item. */
  drop(id: string): void {
    const segment = this.#open.get(id)
    if (segment === undefined) return
    this.#open.delete(id)
    closeSync(segment.fd)
  }

  /** Reads a part; undefined when less of it is there. */
  read(item: ContentItem, offset: number, bytes: number): Uint8Array<ArrayBuffer> | undefined {
    const segmentBytes = segmentBytesOf(item)
    const fd = openIfThere(this.#pathOf(item.id, Math.floor(offset / segmentBytes)))
    if (fd === undefined) return undefined
    try {
      const part = new Uint8Array(bytes)
      for (let done = 0; done < bytes;) {
        const read = readSync(fd, part, done, bytes - done, (offset % segmentBytes) + done)
        if (read === 0) return undefined
        done += read
      }
      return part
    } finally {
      closeSync(fd)
    }
  }

  /**
   * Removes the segments between two offsets that are not needed behind them.
   * @param span ends where a segment does, or at the end of the item
   * @returns up to where they are removed: no more than some at a time
   */
  remove(item: ContentItem, { start, end }: Span): number {
    const segmentBytes = segmentBytesOf(item)
    const first = Math.floor(start / segmentBytes)
    const last = Math.min(Math.ceil(end / segmentBytes), first + MAX_REMOVED_SEGMENTS)
    for (let index = first; index < last; index++) unlinkIfThere(this.#pathOf(item.id, index))
    return Math.min(end, last * segmentBytes)
  }

  /** Removes the files of items that are not known. */
  removeStrays(isKnown: (id: string) => boolean): void {
    for (const name of readNames(this.#folder)) {
      const id = NAME.exec(name)?.groups?.['id']
      if (id === undefined || isKnown(id)) continue
      try {
        unlinkIfThere(join(this.#folder, name))
      } catch {
        // The others go all the same.
      }
    }
  }

  close(): void {
    for (const id of this.#open.keys()) this.drop(id)
  }

  #create(path: string): number {
    const open = (): number => openSync(path, 'wx', 0o600)
    let fd = unlessMissing(open)
    if (fd === undefined) {
      makeFolder(this.#folder)
      fd = open()
    }
    this.#hasNewNames = true
    return fd
  }

  #pathOf(id: string, index: number): string {
    return join(this.#folder, `${id}.${index}`)
  }
}

/** Where the last segment ends that is over by `offset`, of an item of `size` bytes. */
export function endOfSegments(item: ContentItem, offset: number, size: number): number {
  return offset >= size ? size : offset - (offset % segmentBytesOf(item))
}

/** Of whole parts. */
function segmentBytesOf({ partBytes }: ContentItem): number {
  return Math.max(1, Math.floor(SEGMENT_BYTES / partBytes)) * partBytes
}

/** Makes a folder and the one around it, for their owner alone, so that both survive a power cut. */
function makeFolder(path: string): void {
  const parent = dirname(path)
  mkdirSync(path, { recursive: true, mode: 0o700 })
  syncFolder(parent)
  syncFolder(dirname(parent))
}

/** Not every system lets a folder be synced. */
function syncFolder(path: string): void {
  let fd: number | undefined
  try {
    fd = openSync(path, 'r')
    fsyncSync(fd)
  } catch {
    // Its names survive a power cut as far as the system lets them.
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

function openIfThere(path: string): number | undefined {
  return unlessMissing(() => openSync(path, 'r'))
}

function unlinkIfThere(path: string): void {
  unlessMissing(() => unlinkSync(path))
}

function readNames(folder: string): string[] {
  return unlessMissing(() => readdirSync(folder)) ?? []
}

function unlessMissing<T>(call: () => T): T | undefined {
  try {
    return call()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

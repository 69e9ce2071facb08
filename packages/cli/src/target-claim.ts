/**
 * Which download of a run writes which file, so that no two write one, and what the files are that have
 * been written. Looks at the disk at once, without waiting: nothing is to come in between.
 */
import { type BigIntStats, readlinkSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'

/** What one download writes, as long as it does. */
export class TargetClaim {
  readonly #writing: Map<string, Promise<unknown>>
  readonly #ended: Promise<unknown>
  #key: string | undefined

  constructor(writing: Map<string, Promise<unknown>>, ended: Promise<unknown>) {
    this.#writing = writing
    this.#ended = ended
  }

  /** Takes a path, instead of the one before; gives the end of the one that has it. */
  move(path: string): Promise<unknown> | undefined {
    const key = keyOf(path)
    if (key === this.#key) return undefined
    const other = this.#writing.get(key)
    if (other !== undefined) return other
    this.release()
    this.#key = key
    this.#writing.set(key, this.#ended)
    return undefined
  }

  release(): void {
    if (this.#key !== undefined) this.#writing.delete(this.#key)
    this.#key = undefined
  }
}

/**
 * Names that differ can be one to the file system: by links, in case, or in how an accent is written.
 * Two that only could be one wait for each other, which does no harm.
 */
function keyOf(path: string): string {
  const linked = followLink(path)
  const folder = dirname(linked)
  return join(realPathOf(folder), basename(linked)).normalize('NFC').toLowerCase()
}

function followLink(path: string): string {
  try {
    return resolve(dirname(path), readlinkSync(path))
  } catch {
    return path
  }
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return resolve(path)
  }
}

/** What tells a file from any other; undefined when there is none. */
export function fileKey(path: string): string | undefined {
  const found = statOf(path)
  return found && `${found.dev}:${found.ino}`
}

export function statOf(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true })
  } catch {
    return undefined
  }
}

/** Looks at a folder with all that is in it: which files there are, and which version of each. */
import type { BigIntStats, Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf } from './fetch-system-errors.ts'

/** What is in a folder. */
export interface FolderScan {
  /** By path; what identifies their version. */
  readonly files: ReadonlyMap<string, FileVersion>
  /** The folder itself, and those in it. */
  readonly folders: readonly string[]
  /** Sentences about what could not be looked at. */
  readonly problems: readonly string[]
}

/** A version of a file: differs when its content may differ. */
export interface FileVersion {
  readonly size: number
  /** Size and time of modification. */
  readonly stamp: string
  /** These, and its place on the disk, which it keeps when it is renamed. */
  readonly identity: string
}

/** At once, so that the disk has something to do. */
const STATS_AT_ONCE = 64

/**
 * Looks at everything below a folder. Left out: names that begin with a dot or end in .part, links to
 * folders, and what is no file.
 * @throws what the system says of the folder itself
 */
export async function scanFolder(root: string): Promise<FolderScan> {
  const files = new Map<string, FileVersion>()
  const folders: string[] = []
  const problems: string[] = []
  const waiting = [{ folder: root, entries: await readEntries(root) }]
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    const { folder, entries } = at
    folders.push(folder)
    const paths: string[] = []
    for (const entry of entries) {
      const path = join(folder, entry.name)
      if (isLeftOut(entry.name)) continue
      if (entry.isDirectory()) {
        const inner = await readEntries(path).catch((cause: NodeJS.ErrnoException) => cause)
        if (!(inner instanceof Error)) waiting.push({ folder: path, entries: inner })
        else if (isBroken(path)) problems.push(describeBroken(path))
        else if (inner.code !== 'ENOENT')
          problems.push(`Cannot look into ${path}: ${reasonOf(inner)}`)
      } else if (entry.isFile() || entry.isSymbolicLink()) paths.push(path)
    }
    await lookAtAll(paths, files)
    for (const path of paths) {
      if (isBroken(path) && !files.has(path)) problems.push(describeBroken(path))
    }
  }
  return { files, folders, problems }
}

/** The version of a file; undefined when it is not there, or no file. */
export async function lookAtFile(path: string): Promise<FileVersion | undefined> {
  const stats = await stat(path, { bigint: true }).catch(() => undefined)
  return stats?.isFile() === true ? versionOf(stats) : undefined
}

async function lookAtAll(paths: readonly string[], files: Map<string, FileVersion>): Promise<void> {
  for (let start = 0; start < paths.length; start += STATS_AT_ONCE) {
    const some = paths.slice(start, start + STATS_AT_ONCE)
    const versions = await Promise.all(some.map((path) => lookAtFile(path)))
    for (const [index, version] of versions.entries()) {
      if (version !== undefined) files.set(some[index] as string, version)
    }
  }
}

function readEntries(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true })
}

/** What is no UTF-8 has become this, and leads nowhere; but there are names that have it. */
function isBroken(path: string): boolean {
  return path.includes('\uFFFD')
}

function describeBroken(path: string): string {
  return `${path} is left out: its name is not UTF-8`
}

function isLeftOut(name: string): boolean {
  return name.startsWith('.') || name.endsWith('.part')
}

function versionOf({ size, mtimeNs, ino, dev }: BigIntStats): FileVersion {
  const stamp = `${size}-${mtimeNs}`
  return { size: Number(size), stamp, identity: `${stamp}-${ino}-${dev}` }
}

/** Makes folders, also where `mkdir()` with `recursive: true` never comes to an end: below /proc, say. */
import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Makes a folder and those above it that are not there, each with `mode` as `mkdir()` takes it.
 * @returns the topmost folder that was made; undefined when all were there
 * @throws what `mkdir()` throws; ENOTDIR where something else has the name
 */
export async function makeFolders(path: string, mode?: number): Promise<string | undefined> {
  try {
    return (await makeOne(path, mode)) ? path : undefined
  } catch (cause) {
    const isAboveMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    if (!isAboveMissing || dirname(path) === path) throw cause
    const topmost = await makeFolders(dirname(path), mode)
    const isMade = await makeOne(path, mode)
    return topmost ?? (isMade ? path : undefined)
  }
}

/** @returns whether it was not there before */
async function makeOne(path: string, mode: number | undefined): Promise<boolean> {
  try {
    await mkdir(path, { mode })
    return true
  } catch (cause) {
    const error = cause as NodeJS.ErrnoException
    if (error.code !== 'EEXIST') throw error
    const found = await stat(path).catch(() => undefined)
    if (found?.isDirectory() === true) return false
    error.code = 'ENOTDIR'
    throw error
  }
}

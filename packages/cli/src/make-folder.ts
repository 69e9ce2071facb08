/** Makes the folder for --dir, and says in words why it cannot. */
import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { TransferError } from 'ferry/errors'

/** Makes a folder and those above it. (`recursive: true` never ends on file systems like /proc.) */
export async function makeFolder(path: string): Promise<void> {
  const made = await tryMakeFolder(path)
  if (made === 'ENOENT' && dirname(path) !== path) {
    await makeFolder(dirname(path))
    throwUnlessMade(path, await tryMakeFolder(path))
  } else {
    throwUnlessMade(path, made)
  }
}

/** The system's code for why not; undefined when the folder is there. */
async function tryMakeFolder(path: string): Promise<string | undefined> {
  try {
    await mkdir(path)
    return undefined
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code !== 'EEXIST') return code
    const found = await stat(path).catch(() => undefined)
    return found?.isDirectory() === true ? undefined : code
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EEXIST: 'a file, or a link that leads nowhere, has that name',
  ENOTDIR: 'a part of the path is no folder',
  ENAMETOOLONG: 'the name or its path is too long',
  EACCES: 'permission denied',
  EROFS: 'the file system is read-only',
}

function throwUnlessMade(path: string, code: string | undefined): void {
  if (code === undefined) return
  const reason = REASONS[code] ?? code
  throw new TransferError('not-writable', `Cannot make the folder ${path}: ${reason}`)
}

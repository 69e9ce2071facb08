/** The names that finished files get. Pure but for the look whether one is taken. */
import { posix } from 'node:path'
import { findFreePath } from '../transfer/naming/free-path.ts'
import { findSafeName } from '../transfer/naming/safe-file-name.ts'

/** What happens when the final name is taken. */
export type CollisionPolicy = 'overwrite' | 'rename' | 'fail'

// With 200 bytes each, the path stays below the 4,096 that systems take.
const MAX_SEGMENTS = 16

/**
 * Makes any text a name below the target folder: segments with `/` between them, each a safe file
 * name, none of them hidden. Those that lead upwards, or nowhere, are left out.
 * @returns undefined where nothing is left
 */
export function toFinalName(text: string): string | undefined {
  const segments = text.split('/').flatMap((segment) => findSafeName(segment) ?? [])
  return segments.length === 0 ? undefined : segments.slice(-MAX_SEGMENTS).join('/')
}

/**
 * The name itself, or `name (1).ext`, `name (2).ext` … in the same folder when that is taken.
 * @throws {TransferError} target-exists, when 9,999 numbers are taken too
 */
export async function findFreeName(
  name: string,
  isTaken: (name: string) => Promise<boolean>,
): Promise<string> {
  const { dir, base } = posix.parse(name)
  const toName = (path: string): string => path.replaceAll('\\', '/')
  return toName(await findFreePath(dir, base, (path) => isTaken(toName(path))))
}

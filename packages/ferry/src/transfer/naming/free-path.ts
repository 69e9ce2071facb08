/** Finds a path for a new file beside those that are there already. */
import { join } from 'node:path'
import { TransferError } from '../../errors.ts'
import { numberedName } from './safe-file-name.ts'

// Each try may cost a look at the disk.
const MAX_NUMBER = 9_999

/**
 * Gives the path of `name` in `folder`, or of `name (1).ext`, `name (2).ext` … when that is taken.
 * It reserves nothing: somebody else may take the path before the caller does.
 *
 * @param isTaken tells whether a path cannot be had; the names are tried in their order, one by one
 * @throws {TransferError} `target-exists` when 9,999 numbers are taken too
 */
export async function findFreePath(
  folder: string,
  name: string,
  isTaken: (path: string) => Promise<boolean>,
): Promise<string> {
  for (let number = 0; number <= MAX_NUMBER; number++) {
    const path = join(folder, number === 0 ? name : numberedName(name, number))
    if (!(await isTaken(path))) return path
  }
  throw new TransferError(
    'target-exists',
    `Cannot find a free name for ${join(folder, name)}: its first ${MAX_NUMBER} numbers are taken`,
  )
}

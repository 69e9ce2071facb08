/** The files beside an outbox's database. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** The folder with the content of the one database that was ever at `path`. */
export async function contentFolderOf(path: string): Promise<string> {
  const parent = `${path}-content`
  const [name, ...others] = await readdir(parent)
  if (name === undefined || others.length > 0) throw new Error(`Not one folder in ${parent}`)
  return join(parent, name)
}

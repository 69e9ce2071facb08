/** The file of `--cookie-jar`: read before the request, written after it. */
import { stat } from 'node:fs/promises'
import {
  createCookieJar,
  type MemoryCookieJar,
  readCookieFile,
  writeCookieFile,
} from 'ferry/client'
import { ConfigError } from 'ferry/errors'
import { reasonOf, writeError } from './fetch-system-errors.ts'

/** A jar that lives in a file. */
export interface CookieFile {
  readonly jar: MemoryCookieJar
  /** Writes what the jar holds by now. @throws {TransferError} */
  save(): Promise<void>
}

/** @throws {ConfigError} when there is something that cannot be read, or is no file */
export async function openCookieFile(path: string): Promise<CookieFile> {
  const found = await stat(path).catch(() => undefined)
  // The file is put into its place as a whole, and would replace a device or a pipe.
  if (found !== undefined && !found.isFile()) {
    throw new ConfigError(
      'cookie-jar',
      `Cannot use ${path} for --cookie-jar: it is no regular file`,
    )
  }
  const cookies = await readCookieFile(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return []
    const reason = reasonOf(cause)
    throw new ConfigError('cookie-jar', `Cannot read ${path} for --cookie-jar: ${reason}`)
  })
  const jar = createCookieJar({ cookies })
  return {
    jar,
    save: () =>
      writeCookieFile(path, jar.toJSON()).catch((cause: NodeJS.ErrnoException) => {
        throw writeError(path, cause)
      }),
  }
}

/** The file of `--cookie-jar`: read before the request, written after it. */
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

/** @throws {ConfigError} when the file is there and cannot be read */
export async function openCookieFile(path: string): Promise<CookieFile> {
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

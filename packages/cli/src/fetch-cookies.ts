/** The file of `--cookie-jar`: read before the request, written after it. */
import * as client from 'ferry/client'
import { ConfigError } from 'ferry/errors'
import { reasonOf, writeError } from './fetch-system-errors.ts'

interface Jar {
  getCookies(url: unknown): Promise<string>
  setCookies(url: unknown, lines: readonly string[]): Promise<void>
  toJSON(): unknown[]
}
const { createCookieJar, readCookieFile, writeCookieFile } = client as unknown as {
  createCookieJar(options: { cookies: unknown[] }): Jar
  readCookieFile(path: string): Promise<unknown[]>
  writeCookieFile(path: string, cookies: unknown[]): Promise<void>
}

/** A jar that lives in a file. */
export interface CookieFile {
  readonly jar: Jar
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

/**
 * Cookie files in the format of Netscape's browser, which curl, wget and browsers' extensions use.
 *
 *     #HttpOnly_.example.org  TRUE   /      TRUE    1767225600  name  value
 *     domain                  below  path   secure  expires     …           divided by tabs
 *
 * `below` tells whether hosts below the domain get it too; `expires` is in epoch seconds, 0 for the
 * end of the session. Other lines that begin with # say nothing.
 */
import { randomUUID } from 'node:crypto'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import type { CookieRecord } from './cookie-record.ts'

const HEADER = '# Netscape HTTP Cookie File\n# Written by Ferry. Cookies are secrets.\n\n'
const HTTP_ONLY = '#HttpOnly_'
// There is no way to write these.
const UNWRITABLE = /[\t\r\n\0]/

/** Reads a cookie file. Lines that cannot be read are passed over, as curl does. */
export async function readCookieFile(path: string): Promise<CookieRecord[]> {
  return parseCookieFile(await readFile(path, 'latin1'))
}

/**
 * Writes a cookie file that only its owner may read, in the place of the one there was; a break
 * leaves that one whole. Cookies of the session are written too, as `curl -c` does.
 */
export async function writeCookieFile(
  path: string,
  cookies: readonly CookieRecord[],
): Promise<void> {
  const partial = `${path}.${randomUUID()}.part`
  try {
    await writeFile(partial, formatCookieFile(cookies), { encoding: 'latin1', mode: 0o600 })
    await rename(partial, path)
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  }
}

/** Reads the text of a cookie file. */
export function parseCookieFile(text: string): CookieRecord[] {
  return text
    .split(/\r?\n/)
    .map(parseLine)
    .filter((record) => record !== undefined)
}

/** Gives the text of a cookie file; cookies that cannot be written are left out. */
export function formatCookieFile(cookies: readonly CookieRecord[]): string {
  return HEADER + cookies.filter(isWritable).map(formatLine).join('')
}

function parseLine(line: string): CookieRecord | undefined {
  const httpOnly = line.startsWith(HTTP_ONLY)
  if (line.startsWith('#') && !httpOnly) return undefined
  const fields = (httpOnly ? line.slice(HTTP_ONLY.length) : line).split('\t')
  // Without its last field, a cookie without a value.
  if (fields.length !== 7 && fields.length !== 6) return undefined
  const [place = '', below = '', path = '', secure = '', expires = '', name = '', value = ''] =
    fields
  const domain = place.replace(/^\./, '').toLowerCase()
  const isBad = domain === '' || name === '' || !path.startsWith('/') || !/^\d{1,12}$/.test(expires)
  if (isBad || !isFlag(below) || !isFlag(secure)) return undefined
  return {
    name,
    value,
    domain,
    path,
    hostOnly: below.toUpperCase() === 'FALSE',
    secure: secure.toUpperCase() === 'TRUE',
    httpOnly,
    ...(Number(expires) === 0 ? {} : { expiresAt: Number(expires) * 1000 }),
  }
}

function isFlag(text: string): boolean {
  return /^(true|false)$/i.test(text)
}

function isWritable({ name, value, domain, path }: CookieRecord): boolean {
  return name !== '' && ![name, value, domain, path].some((text) => UNWRITABLE.test(text))
}

function formatLine(cookie: CookieRecord): string {
  const { name, value, domain, path, hostOnly, secure, httpOnly, expiresAt } = cookie
  // Up, since 0 would mean the end of the session.
  const expires = expiresAt === undefined ? 0 : Math.max(1, Math.ceil(expiresAt / 1000))
  const place = `${httpOnly ? HTTP_ONLY : ''}${hostOnly ? '' : '.'}${domain}`
  const flag = (value: boolean): string => (value ? 'TRUE' : 'FALSE')
  return `${[place, flag(!hostOnly), path, flag(secure), expires, name, value].join('\t')}\n`
}

/**
 * Users and passwords by host, as `.netrc` files hold them for ftp, curl and git. Pure.
 *
 *     machine example.org login alice password "with a space"
 *     default login anonymous password me@example.org
 */

/** Who asks at a host. */
export interface NetrcEntry {
  /** In lower case; undefined for every host that has no entry of its own. */
  readonly host: string | undefined
  readonly login: string
  readonly password: string
}

// A word, or one in double quotes, in which a backslash takes the meaning of what follows.
const TOKEN = /"((?:[^"\\]|\\.)*)"?|(\S+)/gs
/** Which tells what becomes of the word after it. */
const PAIRED: ReadonlySet<string> = new Set(['machine', 'login', 'password', 'account'])

/** Reads the text of a file. What is none of the known words is passed over, as other programs do. */
export function parseNetrc(text: string): NetrcEntry[] {
  const entries: { host: string | undefined; login: string; password: string }[] = []
  const words = readWords(text)
  for (let index = 0; index < words.length; index++) {
    const word = words[index] as string
    const value = PAIRED.has(word) ? (words[++index] ?? '') : ''
    const entry = entries.at(-1)
    if (word === 'machine') entries.push({ host: value.toLowerCase(), login: '', password: '' })
    else if (word === 'default') entries.push({ host: undefined, login: '', password: '' })
    else if (word === 'login' && entry !== undefined) entry.login = value
    else if (word === 'password' && entry !== undefined) entry.password = value
  }
  return entries
}

/** The entry for a host: the first of its name, else the first without one. */
export function findNetrcEntry(
  entries: readonly NetrcEntry[],
  host: string,
): NetrcEntry | undefined {
  return (
    entries.find((entry) => entry.host === host.toLowerCase()) ??
    entries.find((entry) => entry.host === undefined)
  )
}

function readWords(text: string): string[] {
  const lines = text.split(/\r?\n/)
  const words: string[] = []
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] as string
    if (line.trimStart().startsWith('#')) continue
    for (const [, quoted, plain] of line.matchAll(TOKEN)) {
      if (plain === 'macdef') {
        // A macro of ftp, up to an empty line.
        while (index < lines.length && lines[index] !== '') index++
        break
      }
      words.push(plain ?? (quoted as string).replaceAll(/\\(.)/gs, '$1'))
    }
  }
  return words
}

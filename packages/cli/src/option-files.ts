/** Reads what options name: fields of requests, and files. No message shows what is in them. */
import { constants, openSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { ConfigError } from 'ferry/errors'
import { reasonOf } from './fetch-system-errors.ts'

/** Fields for a request. */
export interface OptionFields {
  readonly fields: readonly (readonly [name: string, value: string])[]
  /** Names of those that came from a file: secrets, by what they are called or not. */
  readonly secretNames: readonly string[]
}

/**
 * Reads fields from `Name: value`, or from each line of a file named `@FILE`, which keeps secrets off
 * the command line.
 * @throws {ConfigError}
 */
export async function readFields(texts: readonly string[]): Promise<OptionFields> {
  const fields: (readonly [string, string])[] = []
  const secretNames: string[] = []
  for (const text of texts) {
    if (!text.startsWith('@')) {
      fields.push(parseField(text))
      continue
    }
    const lines = (await readOptionFile('header', text.slice(1))).split(/\r?\n/)
    for (const line of lines.filter((one) => one.trim() !== '')) {
      const field = parseField(line)
      fields.push(field)
      secretNames.push(field[0].toLowerCase())
    }
  }
  return { fields, secretNames }
}

/** Reads a text file that an option names. @throws {ConfigError} which names the option */
export async function readOptionFile(option: string, path: string): Promise<string> {
  try {
    const isPipe = (await stat(path)).isFIFO()
    return isPipe ? await text(openPipe(path)) : await readFile(path, 'utf8')
  } catch (cause) {
    throw unreadable(option, path, cause as NodeJS.ErrnoException)
  }
}

/**
 * Opens a pipe, as `mkfifo` and the shell's <(…) make one. Opened as a file it would block until
 * somebody writes to it, and the process could neither be interrupted nor end before that.
 */
export function openPipe(path: string): Socket {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  return new Socket({ fd, readable: true, writable: false })
}

/** The error for a file of an option that cannot be read. */
export function unreadable(
  option: string,
  path: string,
  cause: NodeJS.ErrnoException,
): ConfigError {
  if (path === '') {
    return new ConfigError(option, `Cannot use --${option}: expected the name of a file after @`)
  }
  return new ConfigError(option, `Cannot read ${path} for --${option}: ${reasonOf(cause)}`)
}

function parseField(line: string): readonly [string, string] {
  const colon = line.indexOf(':')
  if (colon > 0) return [line.slice(0, colon).trim(), toWire(line.slice(colon + 1).trim())]
  throw new ConfigError(
    'header',
    'Cannot use a --header without a colon: expected "Name: value" or @FILE',
  )
}

/** A field is bytes, each a character here (RFC 9110 §5.5); what is beyond ASCII goes as UTF-8. */
function toWire(value: string): string {
  return Buffer.from(value).toString('latin1')
}

/** Reads what options name: fields of the request, and files. No message shows what is in them. */
import { readFile } from 'node:fs/promises'
import { ConfigError } from 'ferry/errors'
import { reasonOf } from './fetch-system-errors.ts'

/** Fields for the request. */
export interface FetchFields {
  readonly fields: readonly (readonly [name: string, value: string])[]
  /** Names of those that came from a file: secrets, by what they are called or not. */
  readonly secretNames: readonly string[]
}

/** Reads fields from `Name: value`, or from each line of a file named `@FILE`. */
export async function readFields(texts: readonly string[]): Promise<FetchFields> {
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

/** @throws {ConfigError} which names the option */
export async function readOptionFile(option: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new ConfigError(
      option,
      `Cannot read ${path} for --${option}: ${reasonOf(cause as NodeJS.ErrnoException)}`,
    )
  }
}

function parseField(line: string): readonly [string, string] {
  const colon = line.indexOf(':')
  if (colon > 0) return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()]
  throw new ConfigError(
    'header',
    'Cannot use a --header without a colon: expected "Name: value" or @FILE',
  )
}

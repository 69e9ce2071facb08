/**
 * Lists of downloads, in the form of aria2's option `-i` and of its session files:
 *
 *     # a comment
 *     https://one.example/file.iso<TAB>https://two.example/file.iso
 *       out=image.iso
 *       checksum=sha-256=…
 *
 * A line of URLs, with tabs between them, is one file; lines that begin with white space are options
 * for the line of URLs before. Stricter than aria2, which passes over what it does not know: a wrong
 * name of an option is an error, since a download without its checksum is not what was asked for.
 * Pure.
 */
import { ConfigError } from '../../errors.ts'
import { HttpUrl } from '../../transport/http-url.ts'
import { expandUrl } from './expand-url.ts'
import { type InputOptions, readInputOptions } from './input-options.ts'
import { asBoolean, type InputSetting, InputSettings, UnusableLine } from './input-settings.ts'

/** A file to download. */
export interface InputItem {
  /** Where it is, in one place or several. */
  readonly urls: readonly string[]
  readonly options: InputOptions
  /** The line of its URLs, from 1. */
  readonly line: number
}

export interface InputList {
  readonly items: readonly InputItem[]
  /** Options without effect, a sentence for each name. */
  readonly warnings: readonly string[]
}

/** A line of URLs and its option lines. */
interface Entry {
  readonly line: number
  readonly urls: readonly string[]
  readonly settings: InputSetting[]
}

/** What a list may be told from outside. */
export interface InputListOptions {
  /** For messages. @defaultValue 'the input list' */
  readonly name?: string
  /**
   * Whether URLs are patterns (see `expandUrl`), for mirrors of one file or for a file each. The
   * option `parameterized-uri` of an item turns it on, for mirrors, or off.
   * @defaultValue 'off'
   */
  readonly expand?: 'off' | 'mirrors' | 'files'
}

/**
 * Reads a list.
 * @throws {ConfigError} option `input-file`; the message names the line and shows no value
 */
export function parseInputList(text: string, options: InputListOptions = {}): InputList {
  const { name = 'the input list', expand = 'off' } = options
  const warnings = new Map<string, string>()
  const onIgnored = (setting: InputSetting): void => {
    if (warnings.has(setting.name)) return
    const place = `${name}, line ${setting.line}`
    warnings.set(setting.name, `${place}: the option ${setting.name} has no effect`)
  }
  try {
    const items = readEntries(text).flatMap((entry) => readItems(entry, expand, onIgnored))
    return { items, warnings: [...warnings.values()] }
  } catch (error) {
    if (!(error instanceof UnusableLine)) throw error
    throw new ConfigError('input-file', `Cannot use ${name}, line ${error.line}: ${error.message}`)
  }
}

function readEntries(text: string): Entry[] {
  const entries: Entry[] = []
  for (const [index, content] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const line = index + 1
    const trimmed = content.trim()
    if (trimmed === '' || trimmed.startsWith('#')) continue
    if (/^[ \t]/.test(content)) {
      const entry = entries.at(-1)
      if (entry === undefined) throw new UnusableLine(line, 'an option stands before the first URL')
      entry.settings.push(readSetting(trimmed, line))
    } else {
      const urls = content.split('\t').map((url) => url.trim())
      entries.push({ line, urls: urls.filter((url) => url !== ''), settings: [] })
    }
  }
  return entries
}

function readSetting(text: string, line: number): InputSetting {
  const equals = text.indexOf('=')
  if (equals === -1) throw new UnusableLine(line, 'expected NAME=VALUE')
  return { name: text.slice(0, equals).trim(), value: text.slice(equals + 1).trim(), line }
}

function readItems(
  { line, urls, settings }: Entry,
  expand: 'off' | 'mirrors' | 'files',
  onIgnored: (setting: InputSetting) => void,
): InputItem[] {
  const values = new InputSettings(settings)
  const isPattern = values.read('parameterized-uri', asBoolean) ?? expand !== 'off'
  const all = onLine(line, () => {
    const expanded = isPattern ? urls.flatMap((url) => expandUrl(url)) : urls
    for (const url of expanded) HttpUrl.parse(url)
    return [...new Set(expanded)]
  })
  const files = isPattern && expand === 'files' ? all.map((url) => [url]) : [all]
  return files.map((file) => ({
    urls: file,
    options: readInputOptions(values, file, onIgnored),
    line,
  }))
}

function onLine<Result>(line: number, read: () => Result): Result {
  try {
    return read()
  } catch (error) {
    throw new UnusableLine(line, (error as Error).message)
  }
}

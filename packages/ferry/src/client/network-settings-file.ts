/**
 * The file of network settings as YAML: values by their keys, each with the line that it stands in.
 *
 * Pure, from text to values. Knows no key: who reads them says what is expected. No message shows a
 * value, since passwords and secrets are among them.
 */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLMap,
} from 'yaml'
import { ConfigError } from '../errors.ts'

/** A value and the line it stands in, from 1. */
export interface Setting<Value> {
  readonly value: Value
  readonly line: number
}

/** What the sections of one file share. */
interface SettingsFile {
  readonly path: string
  readonly lines: LineCounter
  readonly warnings: string[]
  readonly resolve: (node: unknown) => unknown
}

/**
 * Reads a file's text.
 * @param warnings takes what is strange but harmless, a sentence each
 * @throws {ConfigError} when the text is not YAML or no mapping
 */
export function parseSettingsFile(
  text: string,
  { path, warnings }: { readonly path: string; readonly warnings: string[] },
): SettingsSection {
  const lines = new LineCounter()
  // Pretty messages quote the line, and with it what may be a secret.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const [error] = document.errors
  if (error !== undefined) {
    throw unusable(path, lines.linePos(error.pos[0]).line, `not readable as YAML (${error.code})`)
  }
  const file: SettingsFile = {
    path,
    lines,
    warnings,
    resolve: (node) => (isAlias(node) ? node.resolve(document) : node),
  }
  const { contents } = document
  if (!isMap(contents)) throw unusable(path, 1, 'expected a mapping with profiles')
  return new SettingsSection(contents, '', file)
}

/** A mapping of the file. Keys that nobody asks for are warned about. */
export class SettingsSection {
  readonly #map: YAMLMap
  /** Keys that lead here, with a dot behind each. */
  readonly #prefix: string
  readonly #file: SettingsFile
  readonly #asked = new Set<string>()

  constructor(map: YAMLMap, prefix: string, file: SettingsFile) {
    this.#map = map
    this.#prefix = prefix
    this.#file = file
  }

  /** The line that it begins in. */
  get line(): number {
    return this.#lineOf(this.#map)
  }

  /** A text; a number counts as one. Undefined when the key is missing or empty. */
  text(key: string): Setting<string> | undefined {
    const node = this.#valueOf(key)
    if (node === undefined) return undefined
    const value = textOf(node)
    if (value === undefined) throw this.unusable(key, 'expected a text', node)
    return value === '' ? undefined : { value, line: this.#lineOf(node) }
  }

  boolean(key: string): boolean | undefined {
    const node = this.#valueOf(key)
    if (node === undefined) return undefined
    if (isScalar(node) && typeof node.value === 'boolean') return node.value
    throw this.unusable(key, 'expected true or false', node)
  }

  /** Texts: a list of them, or a single one. */
  texts(key: string): Setting<string>[] {
    const node = this.#valueOf(key)
    if (!isSeq(node)) return [this.text(key)].filter((setting) => setting !== undefined)
    return node.items.map((item) => {
      const value = textOf(this.#file.resolve(item))
      if (value !== undefined) return { value, line: this.#lineOf(item) }
      throw this.unusable(key, 'expected a text or a list of texts', item)
    })
  }

  section(key: string): SettingsSection | undefined {
    const node = this.#valueOf(key)
    if (node === undefined) return undefined
    if (isMap(node)) return new SettingsSection(node, `${this.#prefix}${key}.`, this.#file)
    throw this.unusable(key, 'expected a mapping', node)
  }

  /** A list of mappings. */
  sections(key: string): SettingsSection[] {
    const node = this.#valueOf(key)
    if (!isSeq(node)) throw this.unusable(key, 'expected a list', node)
    return node.items.map((item) => {
      const map = this.#file.resolve(item)
      if (isMap(map)) return new SettingsSection(map, `${this.#prefix}${key}.`, this.#file)
      throw this.unusable(key, 'expected a list of mappings', item)
    })
  }

  /** Warns about every key that nobody has asked for. */
  warnOfUnknownKeys(): void {
    for (const { key } of this.#map.items) {
      const name = textOf(key)
      if (name === undefined || !this.#asked.has(name)) {
        this.warn(`the key ${this.#prefix}${name ?? '?'} is not known`, this.#lineOf(key))
      }
    }
  }

  warn(why: string, line: number): void {
    this.#file.warnings.push(`${placeOf(this.#file.path, line)}: ${why}`)
  }

  /** The full name of a key: `proxy-settings.http-proxy`. */
  nameOf(key: string): string {
    return this.#prefix + key
  }

  /** A key and where it stands, for messages. */
  placeOf(key: string, line: number): string {
    return `${this.nameOf(key)} (${placeOf(this.#file.path, line)})`
  }

  /** The error for a key's value; without a value, for the section. */
  unusable(key: string, why: string, at: unknown = this.#map): ConfigError {
    const line = typeof at === 'number' ? at : this.#lineOf(at)
    return unusable(this.#file.path, line, `${this.nameOf(key)}: ${why}`, this.nameOf(key))
  }

  /** The node of a value; undefined when it is missing or null. */
  #valueOf(key: string): Node | undefined {
    this.#asked.add(key)
    const pair = this.#map.items.find((item) => textOf(item.key) === key)
    const node = this.#file.resolve(pair?.value) as Node | null | undefined
    if (node === null || node === undefined || (isScalar(node) && node.value === null)) {
      return undefined
    }
    return node
  }

  #lineOf(node: unknown): number {
    const range = (node as Partial<Node> | null)?.range ?? this.#map.range
    return this.#file.lines.linePos(range?.[0] ?? 0).line
  }
}

function textOf(node: unknown): string | undefined {
  if (!isScalar(node)) return undefined
  const { value, source } = node
  if (typeof value === 'string') return value
  return typeof value === 'number' ? (source ?? String(value)) : undefined
}

function placeOf(path: string, line: number): string {
  return `line ${line} of ${path}`
}

function unusable(
  path: string,
  line: number,
  why: string,
  option = 'network-settings',
): ConfigError {
  return new ConfigError(
    option,
    `Cannot use the network settings in ${placeOf(path, line)}: ${why}`,
  )
}

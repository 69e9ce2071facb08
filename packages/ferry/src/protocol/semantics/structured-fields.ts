/**
 * Structured fields (RFC 9651), as far as Ferry reads them: lists and dictionaries of items with
 * parameters. Inner lists are not among them; a field that holds one counts as unreadable.
 * Strict, as §4.2 wants it: a field that breaks the grammar anywhere is as good as absent.
 */

/** A value with its type: `5` and `5.0`, `"a"` and `a` are not the same (RFC 9651 §3.3). */
export type BareItem =
  | { readonly type: 'integer' | 'decimal' | 'date'; readonly value: number }
  /** Bytes and display strings as they stand on the wire, without their quotes. */
  | { readonly type: 'string' | 'token' | 'bytes' | 'display'; readonly value: string }
  | { readonly type: 'boolean'; readonly value: boolean }

/** An item and what is said about it. */
export interface Item {
  readonly bare: BareItem
  readonly parameters: ReadonlyMap<string, BareItem>
}

const TRUE: BareItem = { type: 'boolean', value: true }

/** What an item may look like, in the order of RFC 9651 §3.3; each matches where the scan stands. */
const BARE_ITEMS: readonly (readonly [RegExp, (match: readonly string[]) => BareItem])[] = [
  [/-?\d{1,12}\.\d{1,3}(?![\d.])/y, ([text]) => ({ type: 'decimal', value: Number(text) })],
  [/-?\d{1,15}(?![\d.])/y, ([text]) => ({ type: 'integer', value: Number(text) })],
  [
    /"((?:[ !#-[\]-~]|\\["\\])*)"/y,
    ([, text = '']) => ({ type: 'string', value: text.replace(/\\(.)/g, '$1') }),
  ],
  [/[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*/y, ([text = '']) => ({ type: 'token', value: text })],
  [/:([A-Za-z0-9+/=]*):/y, ([, text = '']) => ({ type: 'bytes', value: text })],
  [/\?([01])/y, ([, digit]) => ({ type: 'boolean', value: digit === '1' })],
  [/@(-?\d{1,15})(?![\d.])/y, ([, text]) => ({ type: 'date', value: Number(text) })],
  [/%"((?:[ !#$&-~]|%[0-9a-f]{2})*)"/y, ([, text = '']) => ({ type: 'display', value: text })],
]
const KEY = /[a-z*][a-z0-9_\-.*]*/y
const SPACES = / */y
const COMMA = /[ \t]*,[ \t]*/y
const SEMICOLON = /; */y
const EQUALS = /=/y

/** Reads a list of items (RFC 9651 §3.1); undefined when it is none. */
export function parseItemList(text: string): Item[] | undefined {
  const items: Item[] = []
  const isWhole = readMembers(text, (scan) => {
    const bare = scan.bareItem()
    const parameters = bare && readParameters(scan)
    if (parameters !== undefined) items.push({ bare: bare as BareItem, parameters })
    return parameters !== undefined
  })
  return isWhole ? items : undefined
}

/** Reads a dictionary of items (RFC 9651 §3.2); undefined when it is none. The last of a key counts. */
export function parseItemDictionary(text: string): Map<string, Item> | undefined {
  const items = new Map<string, Item>()
  const isWhole = readMembers(text, (scan) => {
    const key = scan.take(KEY)?.[0]
    if (key === undefined) return false
    const bare = scan.take(EQUALS) === undefined ? TRUE : scan.bareItem()
    const parameters = bare && readParameters(scan)
    if (parameters !== undefined) items.set(key, { bare: bare as BareItem, parameters })
    return parameters !== undefined
  })
  return isWhole ? items : undefined
}

/** Reads members up to the end of the text; false when that fails. RFC 9651 §4.2: SP around them. */
function readMembers(text: string, readMember: (scan: Scan) => boolean): boolean {
  const scan = new Scan(text)
  scan.take(SPACES)
  if (scan.isAtEnd) return true
  while (readMember(scan)) {
    if (scan.isAtEnd) return true
    if (scan.take(COMMA) === undefined) {
      scan.take(SPACES)
      return scan.isAtEnd
    }
  }
  return false
}

/** RFC 9651 §3.1.2: the last of a key counts, and one without a value is true. */
function readParameters(scan: Scan): Map<string, BareItem> | undefined {
  const parameters = new Map<string, BareItem>()
  while (scan.take(SEMICOLON) !== undefined) {
    const key = scan.take(KEY)?.[0]
    if (key === undefined) return undefined
    const value = scan.take(EQUALS) === undefined ? TRUE : scan.bareItem()
    if (value === undefined) return undefined
    parameters.set(key, value)
  }
  return parameters
}

/** A place in a text. */
class Scan {
  readonly #text: string
  #position = 0

  constructor(text: string) {
    this.#text = text
  }

  get isAtEnd(): boolean {
    return this.#position === this.#text.length
  }

  /** Goes past what a sticky pattern matches here. */
  take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#position
    const match = pattern.exec(this.#text)
    if (match === null) return undefined
    this.#position = pattern.lastIndex
    return match
  }

  bareItem(): BareItem | undefined {
    for (const [pattern, toItem] of BARE_ITEMS) {
      const match = this.take(pattern)
      if (match !== undefined) return toItem(match)
    }
    return undefined
  }
}

/**
 * The field lines of one message: ordered, immutable, names compared without case (RFC 9110 §5).
 * An instance holds only lines that may stand on the wire, so writers need not check again.
 */
import { LocalProtocolError } from '../../errors.ts'
import { isFieldValue, isToken, trimOws } from './grammar.ts'

/** What field lines can be made from. */
export type HeaderFieldsInit =
  | HeaderFields
  | Iterable<readonly [name: string, value: string]>
  | Readonly<Record<string, string | readonly string[]>>

/** Immutable field lines; iterating gives `[name, value]` in wire order, names spelled as they came. */
export class HeaderFields implements Iterable<readonly [name: string, value: string]> {
  static readonly empty: HeaderFields = new HeaderFields([], [])

  readonly #names: readonly string[]
  readonly #values: readonly string[]
  #lowerNames: readonly string[] | undefined
  #framesContent: boolean | undefined
  #lines: string | undefined

  private constructor(names: readonly string[], values: readonly string[]) {
    this.#names = names
    this.#values = values
    Object.freeze(this)
  }

  /**
   * Copies and checks field lines.
   * @throws {LocalProtocolError} when a name is not a token or a value holds a forbidden character
   */
  static from(init: HeaderFieldsInit | undefined): HeaderFields {
    if (init === undefined) return HeaderFields.empty
    if (init instanceof HeaderFields) return init
    const names: string[] = []
    const values: string[] = []
    const add = (name: string, value: string): void => {
      checkField(name, value)
      names.push(name)
      values.push(trimOws(value))
    }
    if (isPairs(init)) {
      for (const [name, value] of init) add(name, value)
    } else {
      for (const name of Object.keys(init)) {
        const value = init[name] as string | readonly string[]
        if (Array.isArray(value)) for (const one of value) add(name, one)
        else add(name, value as string)
      }
    }
    return HeaderFields.fromParsed(names, values)
  }

  /** Takes lines that a parser has checked; the arrays must not be changed afterwards. */
  static fromParsed(names: readonly string[], values: readonly string[]): HeaderFields {
    return names.length === 0 ? HeaderFields.empty : new HeaderFields(names, values)
  }

  /** How many lines there are. */
  get size(): number {
    return this.#names.length
  }

  /** The names in wire order, spelled as they came; a repeated one stands here repeatedly. */
  get names(): string[] {
    return [...this.#names]
  }

  /** The names in wire order, in lower case. */
  get lowerNames(): readonly string[] {
    return this.#lower()
  }

  /** The values in wire order: one for each name. */
  get values(): readonly string[] {
    return this.#values
  }

  /** All values of a field joined by `, `; undefined when there is none. */
  get(name: string): string | undefined {
    const wanted = name.toLowerCase()
    const names = this.#lower()
    let found: string | undefined
    for (let index = 0; index < names.length; index++) {
      if (names[index] !== wanted) continue
      const value = this.#values[index] as string
      found = found === undefined ? value : `${found}, ${value}`
    }
    return found
  }

  /** Each value of a field by itself, in order (for Set-Cookie, say). */
  getAll(name: string): string[] {
    const wanted = name.toLowerCase()
    const names = this.#lower()
    return this.#values.filter((_, index) => names[index] === wanted)
  }

  has(name: string): boolean {
    return this.#lower().includes(name.toLowerCase())
  }

  /** Whether a line tells the length or the coding of the content (RFC 9112 §6). */
  get framesContent(): boolean {
    // Asked once for every message that uses these lines.
    this.#framesContent ??= this.has('content-length') || this.has('transfer-encoding')
    return this.#framesContent
  }

  /** The lines as they stand on the wire, one character a byte; each ends with CRLF. */
  get lines(): string {
    // Kept, since the same fields go out with many requests.
    return (this.#lines ??= this.#formatLines())
  }

  /** A copy with exactly one line of that name. */
  with(name: string, value: string): HeaderFields {
    return this.without(name).append(name, value)
  }

  /** A copy with one more line. */
  append(name: string, value: string): HeaderFields {
    checkField(name, value)
    return new HeaderFields([...this.#names, name], [...this.#values, trimOws(value)])
  }

  /** A copy without the named fields. */
  without(...names: string[]): HeaderFields {
    const unwanted = new Set(names.map((name) => name.toLowerCase()))
    const kept = [...this].filter(([name]) => !unwanted.has(name.toLowerCase()))
    if (kept.length === this.size) return this
    return new HeaderFields(
      kept.map(([name]) => name),
      kept.map(([, value]) => value),
    )
  }

  *[Symbol.iterator](): Iterator<readonly [name: string, value: string]> {
    for (let index = 0; index < this.#names.length; index++) {
      yield [this.#names[index] as string, this.#values[index] as string]
    }
  }

  toJSON(): (readonly [name: string, value: string])[] {
    return [...this]
  }

  #formatLines(): string {
    let text = ''
    for (let index = 0; index < this.#names.length; index++) {
      text += `${this.#names[index]}: ${this.#values[index]}\r\n`
    }
    return text
  }

  #lower(): readonly string[] {
    this.#lowerNames ??= this.#names.map((name) => name.toLowerCase())
    return this.#lowerNames
  }
}

function isPairs(
  init: Exclude<HeaderFieldsInit, HeaderFields>,
): init is Iterable<readonly [name: string, value: string]> {
  return Symbol.iterator in init
}

function checkField(name: string, value: string): void {
  // The types are for those who use them: a number or undefined would pass as its own text.
  if (typeof name !== 'string' || !isToken(name)) {
    throw new LocalProtocolError(`Cannot use ${JSON.stringify(name)} as a field name: not a token`)
  }
  // The value may be a secret, so it stays out of the messages.
  if (typeof value !== 'string') {
    throw new LocalProtocolError(`Cannot send field ${name}: expected text, got ${typeof value}`)
  }
  if (!isFieldValue(value)) {
    throw new LocalProtocolError(
      `Cannot send field ${name}: its value holds a control character or one above U+00FF`,
    )
  }
}

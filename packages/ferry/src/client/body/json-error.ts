/**
 * Finds where a text stops being JSON (RFC 8259). `JSON.parse()` knows, but its messages name the
 * place only for some mistakes. Without recursion: depth is the peer's choice.
 */

/**
 * The offset of the first character that cannot stand where it stands; the length of the text when
 * that ends too early; undefined when it is JSON.
 */
export function findJsonError(text: string): number | undefined {
  return new JsonScanner(text).findError()
}

const WHITE_SPACE = /[\t\n\r ]+/y
const INTEGER = /-?(?:0|[1-9]\d*)/y
const MINUS = /-/y
const POINT = /\./y
const EXPONENT = /e[+-]?/iy
const DIGITS = /\d+/y
const PLAIN_TEXT = /[^"\\\u0000-\u001F]+/y
const ESCAPED = /["\\/bfnrt]/y
const UNICODE = /u/y
const HEX_DIGIT = /[\da-f]/iy

/** What may come next. */
type Expected = 'value' | 'value or ]' | 'name' | 'name or }' | 'colon' | 'comma or end'

class JsonScanner {
  readonly #text: string
  #at = 0
  /** The brackets that are open, as those that close them. */
  readonly #open: ('}' | ']')[] = []
  #expected: Expected = 'value'

  constructor(text: string) {
    this.#text = text
  }

  findError(): number | undefined {
    for (;;) {
      this.#skip(WHITE_SPACE)
      const isWhole = this.#expected === 'comma or end' && this.#open.length === 0
      if (this.#at === this.#text.length) return isWhole ? undefined : this.#at
      if (isWhole || !this.#step(this.#text[this.#at] as string)) return this.#at
    }
  }

  /** Reads a token; false leaves `#at` where it cannot go on. */
  #step(character: string): boolean {
    switch (this.#expected) {
      case 'colon':
        return character === ':' && this.#pass('value')
      case 'comma or end':
        if (character === this.#open.at(-1)) return this.#endList()
        return character === ',' && this.#pass(this.#open.at(-1) === '}' ? 'name' : 'value')
      case 'name or }':
      case 'name':
        if (character === '}' && this.#expected === 'name or }') return this.#endList()
        return character === '"' && this.#readString('colon')
      case 'value or ]':
      case 'value':
        if (character === ']' && this.#expected === 'value or ]') return this.#endList()
        return this.#readValue(character)
    }
  }

  #readValue(character: string): boolean {
    switch (character) {
      case '{':
        this.#open.push('}')
        return this.#pass('name or }')
      case '[':
        this.#open.push(']')
        return this.#pass('value or ]')
      case '"':
        return this.#readString('comma or end')
      case 't':
        return this.#readWord('true')
      case 'f':
        return this.#readWord('false')
      case 'n':
        return this.#readWord('null')
      default:
        return this.#readNumber()
    }
  }

  #endList(): boolean {
    this.#open.pop()
    return this.#pass('comma or end')
  }

  /** One character was right. */
  #pass(expected: Expected): true {
    this.#at++
    this.#expected = expected
    return true
  }

  #readWord(word: string): boolean {
    this.#expected = 'comma or end'
    for (const character of word) {
      if (this.#text[this.#at] !== character) return false
      this.#at++
    }
    return true
  }

  // RFC 8259 §6
  #readNumber(): boolean {
    this.#expected = 'comma or end'
    if (this.#skip(INTEGER) === 0) {
      this.#skip(MINUS)
      return false
    }
    if (this.#skip(POINT) > 0 && this.#skip(DIGITS) === 0) return false
    return this.#skip(EXPONENT) === 0 || this.#skip(DIGITS) > 0
  }

  // RFC 8259 §7
  #readString(expected: Expected): boolean {
    this.#at++
    for (;;) {
      this.#skip(PLAIN_TEXT)
      const character = this.#text[this.#at]
      if (character === '"') return this.#pass(expected)
      if (character !== '\\') return false
      this.#at++
      if (this.#skip(ESCAPED) > 0) continue
      if (this.#skip(UNICODE) === 0) return false
      for (let digit = 0; digit < 4; digit++) if (this.#skip(HEX_DIGIT) === 0) return false
    }
  }

  /** Passes what a sticky pattern matches. @returns its length */
  #skip(pattern: RegExp): number {
    const start = this.#at
    pattern.lastIndex = start
    if (pattern.test(this.#text)) this.#at = pattern.lastIndex
    return this.#at - start
  }
}

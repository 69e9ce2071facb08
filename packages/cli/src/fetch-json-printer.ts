/**
 * Indents and colours JSON as it comes, by its tokens alone: numbers keep their digits, members
 * their order, and nothing is held back but the token under way. What is no JSON is passed on,
 * not judged. Values one after another (JSON lines) stand on lines of their own.
 */
import { styleText } from 'node:util'

const INDENT = '  '
// Deeper is not drawn deeper: lines would be nothing but blanks.
const MAX_INDENT = 64

const PLAIN_IN_STRING = /[^"\\\x00-\x1f\x7f-\x9f]+/y
const PLAIN_IN_WORD = /[^\s{}[\],:"\x00-\x1f\x7f-\x9f]+/y

type Style = 'blue' | 'green' | 'yellow' | 'magenta'

/** One document, or several in a row; `write()` and `end()` give what can be printed. */
export class JsonPrinter {
  readonly #color: boolean
  /** Open brackets, the innermost last. */
  readonly #open: ('{' | '[')[] = []
  #token: 'none' | 'string' | 'word' = 'none'
  /** The character after a backslash comes next. */
  #escaped = false
  /** The next string is the name of a member. */
  #expectsName = false
  /** A bracket was opened and nothing came in it yet. */
  #isEmpty = false
  #hasPrinted = false
  #output = ''

  constructor({ color }: { readonly color: boolean }) {
    this.#color = color
  }

  /** Takes text, cut anywhere between characters. */
  write(text: string): string {
    let position = 0
    while (position < text.length) {
      const run = this.#plainRun(text, position)
      this.#output += run
      position += run.length
      const character = text[position++]
      if (character === undefined) break
      if (this.#token === 'string') this.#inString(character)
      else this.#outside(character)
    }
    return this.#take()
  }

  /** What can be passed on as it is, from a position on: most of a token. */
  #plainRun(text: string, position: number): string {
    if (this.#token === 'none' || this.#escaped) return ''
    const plain = this.#token === 'string' ? PLAIN_IN_STRING : PLAIN_IN_WORD
    plain.lastIndex = position
    return plain.exec(text)?.[0] ?? ''
  }

  /** The end of the last line. */
  end(): string {
    if (this.#token !== 'none') this.#endToken()
    if (this.#hasPrinted) this.#output += '\n'
    return this.#take()
  }

  #take(): string {
    const output = this.#output
    this.#output = ''
    return output
  }

  #inString(character: string): void {
    this.#output += isControl(character) ? escapeControl(character) : character
    if (this.#escaped) this.#escaped = false
    else if (character === '\\') this.#escaped = true
    else if (character === '"') this.#endToken()
  }

  #outside(character: string): void {
    const isWord = !/[\s{}[\],:"]/.test(character)
    if (this.#token === 'word' && !isWord) this.#endToken()
    if (isWord) this.#word(character)
    else if (character === '"') {
      this.#beginToken('string', this.#expectsName ? 'blue' : 'green', character)
    } else if (character === '{' || character === '[') this.#openBracket(character)
    else if (character === '}' || character === ']') this.#closeBracket(character)
    else if (character === ',') {
      this.#output += ','
      this.#newLine()
      this.#expectsName = this.#open.at(-1) === '{'
    } else if (character === ':') {
      this.#output += ': '
      this.#expectsName = false
    }
  }

  #word(character: string): void {
    const printed = isControl(character) ? escapeControl(character) : character
    if (this.#token === 'word') this.#output += printed
    else this.#beginToken('word', /[-\d]/.test(character) ? 'yellow' : 'magenta', printed)
  }

  #openBracket(bracket: '{' | '['): void {
    this.#beginValue()
    this.#output += bracket
    this.#open.push(bracket)
    this.#isEmpty = true
    this.#expectsName = bracket === '{'
  }

  #closeBracket(bracket: string): void {
    this.#open.pop()
    if (!this.#isEmpty) this.#newLine()
    this.#isEmpty = false
    this.#expectsName = false
    this.#hasPrinted = true
    this.#output += bracket
  }

  #beginToken(token: 'string' | 'word', style: Style, character: string): void {
    this.#beginValue()
    this.#token = token
    if (this.#color) this.#output += CODES[style].open
    this.#output += character
  }

  #endToken(): void {
    this.#token = 'none'
    if (this.#color) this.#output += CODES.blue.close
  }

  #beginValue(): void {
    if (this.#isEmpty) this.#newLine()
    else if (this.#open.length === 0 && this.#hasPrinted) this.#output += '\n'
    this.#isEmpty = false
    this.#hasPrinted = true
  }

  #newLine(): void {
    this.#output += `\n${INDENT.repeat(Math.min(this.#open.length, MAX_INDENT))}`
  }
}

/** The escape sequences around a text of each style; a token may come in several pieces. */
const CODES = Object.fromEntries(
  (['blue', 'green', 'yellow', 'magenta'] as const).map((style) => {
    const [open = '', close = ''] = styleText(style, '|', { validateStream: false }).split('|')
    return [style, { open, close }]
  }),
) as Readonly<Record<Style, { readonly open: string; readonly close: string }>>

function isControl(character: string): boolean {
  return /[\x00-\x1f\x7f-\x9f]/.test(character)
}

/** None may stand in JSON as it is, and a terminal would obey it. */
function escapeControl(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

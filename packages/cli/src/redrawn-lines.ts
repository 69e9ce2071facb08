/**
 * The end of a terminal's output, which shows what is going on now and is redrawn in place. Owns what
 * is drawn there: whatever is printed by it erases that first.
 */
import type { Output } from './reporter.ts'

// A terminal that does not know its size says 0.
const DEFAULT_COLUMNS = 80
const DEFAULT_ROWS = 24
// DECAWM, which every terminal since the VT100 knows: what is too wide is cut and not continued on
// the next line, whatever the width of its characters. In one write with what it is for, so that
// nothing else is drawn without wrapping.
const NO_WRAP = '\u001b[?7l'
const WRAP = '\u001b[?7h'

/** Lines at the end of a terminal. */
export class RedrawnLines {
  readonly #terminal: Output
  #drawn = 0

  constructor(terminal: Output) {
    this.#terminal = terminal
  }

  get columns(): number {
    return this.#terminal.columns || DEFAULT_COLUMNS
  }

  get rows(): number {
    return this.#terminal.rows || DEFAULT_ROWS
  }

  /** Shows lines in place of those that it shows; what others have sent has to be printable. */
  draw(lines: readonly string[]): void {
    this.clear()
    if (lines.length === 0) return
    this.#terminal.write(NO_WRAP + textOf(lines) + WRAP)
    this.#drawn = lines.length
  }

  /** Prints lines that stay, also to another output of the same terminal. */
  print(lines: readonly string[], output: Output = this.#terminal): void {
    this.clear()
    if (lines.length > 0) output.write(textOf(lines))
  }

  /** Goes up over what was drawn and erases from there (ECMA-48 CPL and ED). */
  clear(): void {
    if (this.#drawn > 0) this.#terminal.write(`\u001b[${this.#drawn}F\u001b[0J`)
    this.#drawn = 0
  }
}

function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('')
}

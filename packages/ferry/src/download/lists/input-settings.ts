/**
 * The option lines of one item of an input list, by their names, and the forms that their values have.
 * Pure. A value may be a password: no reason given here shows one.
 */

/** An option line. */
export interface InputSetting {
  readonly name: string
  readonly value: string
  /** From 1. */
  readonly line: number
}

/** A line that cannot be used; the message says why, without naming the list. */
export class UnusableLine extends Error {
  readonly line: number

  constructor(line: number, why: string) {
    super(why)
    this.line = line
  }
}

/** Option lines that remember which of them somebody has asked for. */
export class InputSettings {
  readonly #settings: readonly InputSetting[]
  readonly #asked = new Set<string>()

  constructor(settings: readonly InputSetting[]) {
    this.#settings = settings
  }

  /** The lines that nobody has asked for. */
  get unread(): InputSetting[] {
    return this.#settings.filter(({ name }) => !this.#asked.has(name))
  }

  /**
   * The value of an option, of its last line when it is repeated; undefined when it is not there.
   * @param parse throws when the value is of another form
   * @throws {UnusableLine}
   */
  read<Value>(name: string, parse: (text: string) => Value): Value | undefined {
    return this.readAll(name, parse).at(-1)
  }

  /** The values of all lines of an option. */
  readAll<Value>(name: string, parse: (text: string) => Value): Value[] {
    this.#asked.add(name)
    return this.#settings
      .filter((setting) => setting.name === name)
      .map(({ value, line }) => {
        try {
          return parse(value)
        } catch (error) {
          throw new UnusableLine(line, `${name}: ${(error as Error).message}`)
        }
      })
  }
}

export function asText(text: string): string {
  return text
}

export function asBoolean(text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true'
  throw new Error('expected true or false')
}

/** A whole number from 0. */
export function asCount(text: string): number {
  const count = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(count)) return count
  throw new Error('expected a whole number')
}

/** Bytes, as a number alone or one with K (1024) or M (1024 K). */
export function asBytes(text: string): number {
  const [, digits = '', unit = ''] = /^(\d+)([km]?)$/i.exec(text) ?? []
  const factor = { '': 1, k: 1024, m: 1_048_576 }[unit.toLowerCase()] ?? 1
  const bytes = Number(digits) * factor
  if (digits !== '' && Number.isSafeInteger(bytes)) return bytes
  throw new Error('expected bytes, like 500K or 2M')
}

/** Seconds, given as milliseconds. */
export function asMs(text: string): number {
  const seconds = asCount(text)
  if (seconds > 0) return seconds * 1000
  throw new Error('expected seconds, from 1')
}

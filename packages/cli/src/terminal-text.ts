/** Text of others, made fit for a terminal, which would obey control characters in it. Pure. */

/** One line: control characters (C0, DEL, C1) become question marks. */
export function printable(text: string): string {
  return text.replaceAll(/[\x00-\x08\x0a-\x1f\x7f-\x9f]/g, '?')
}

/** Several lines: the same, but for line ends; a CR would let a line overwrite what stands there. */
export function printableLines(text: string): string {
  return text.replaceAll('\r', '').replaceAll(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '?')
}

/** A part of a head as one line. */
export function printableHead(text: string): string {
  return printable(headText(text))
}

/** A part of a head, whose characters stand for bytes, as text: those bytes mostly are UTF-8. */
export function headText(text: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(text, 'latin1'))
  } catch {
    return text
  }
}

/** A value as one line of JSON; control characters are escaped there, also those that JSON allows. */
export function jsonLine(value: object): string {
  const text = JSON.stringify(value).replaceAll(
    /[\x7f-\x9f]/g,
    (character) => `\\u00${character.charCodeAt(0).toString(16)}`,
  )
  return `${text}\n`
}

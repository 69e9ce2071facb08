import { stripVTControlCharacters } from 'node:util'
import { describe, expect, test } from 'vitest'
import { JsonPrinter } from './fetch-json-printer.ts'

function print(pieces: readonly string[], { color = false } = {}): string {
  const printer = new JsonPrinter({ color })
  return pieces.map((piece) => printer.write(piece)).join('') + printer.end()
}

const ROWS: readonly [what: string, text: string, printed: string][] = [
  ['nothing', '', ''],
  ['a number with all its digits', '12345678901234567890.10', '12345678901234567890.10\n'],
  ['empty brackets', '[{}, [ ]]', '[\n  {},\n  []\n]\n'],
  ['members in their order', '{"b":1,"10":2,"b":3}', '{\n  "b": 1,\n  "10": 2,\n  "b": 3\n}\n'],
  ['what looks like JSON in text', '["a:,{}[]\\" \\\\"]', '[\n  "a:,{}[]\\" \\\\"\n]\n'],
  ['text above ASCII', '{"ä":"😀"}', '{\n  "ä": "😀"\n}\n'],
  ['JSON that is indented', '{\n\t"a": [\n1\n]\n}\n', '{\n  "a": [\n    1\n  ]\n}\n'],
  ['a value a line', '{"a":1}\n[2]\n\n"x"\n', '{\n  "a": 1\n}\n[\n  2\n]\n"x"\n'],
  ['what would command a terminal', '["\u001b[2J\u009b"]', '[\n  "\\u001b[2J\\u009b"\n]\n'],
  ['what ends too early', '{"a":[1,"x', '{\n  "a": [\n    1,\n    "x\n'],
  ['what is no JSON', '{so]rry', '{\n  so\n]\nrry\n'],
]

describe('JsonPrinter prints', () => {
  test.each(ROWS)('%s', (_, text, printed) => {
    expect(print([text])).toBe(printed)
  })

  test.each(ROWS)('%s, whatever pieces it comes in', (_, text, printed) => {
    const characters = [...text]
    expect(print(characters)).toBe(printed)
    for (let at = 0; at <= characters.length; at++) {
      const pieces = [characters.slice(0, at).join(''), characters.slice(at).join('')]
      expect(print(pieces)).toBe(printed)
    }
  })

  test.each(ROWS)('%s in colours, which change nothing else', (_, text, printed) => {
    expect(stripVTControlCharacters(print([text], { color: true }))).toBe(printed)
  })

  test('names, text, numbers and words in different colours', () => {
    const printed = print(['{"a":["t",1,null]}'], { color: true })

    expect(printed).toBe(
      '{\n  \u001b[34m"a"\u001b[39m: [\n    \u001b[32m"t"\u001b[39m,\n' +
        '    \u001b[33m1\u001b[39m,\n    \u001b[35mnull\u001b[39m\n  ]\n}\n',
    )
  })
})

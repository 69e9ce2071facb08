import { expect, test } from 'vitest'
import { jsonLine, printable, printableHead, printableLines } from './terminal-text.ts'

test('printable() leaves nothing that a terminal obeys', () => {
  expect(printable('a\u001b[2J\tb\u009b\u007fé\r\n')).toBe('a?[2J\tb??é??')
})

test('printableLines() keeps lines, and lets none overwrite itself', () => {
  expect(printableLines('a\r\n\tb\rc\u001b\b\u009b\f')).toBe('a\n\tbc????')
})

test.each([
  [Buffer.from('é 日').toString('latin1'), 'é 日'],
  ['caf\u00e9', 'café'],
  ['a\u009b31m', 'a?31m'],
  [Buffer.from('\u009b31m').toString('latin1'), '?31m'],
])('printableHead() reads %j as %s', (text, shown) => {
  expect(printableHead(text)).toBe(shown)
})

test('jsonLine() escapes what a terminal obeys, and stays what it was', () => {
  const value = { name: 'a\u001b[2J\u007f\u009b31m\né' }
  const line = jsonLine(value)

  expect(line).toBe('{"name":"a\\u001b[2J\\u007f\\u009b31m\\né"}\n')
  expect(JSON.parse(line)).toEqual(value)
})

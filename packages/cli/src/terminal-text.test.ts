import { expect, test } from 'vitest'
import { printable, printableHead, printableLines } from './terminal-text.ts'

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

import { expect, test } from 'vitest'
import { readServerWords } from './server-words.ts'

test.each([
  ['{"error":"Invalid or missing API key"}', 'Invalid or missing API key'],
  ['{"error":"Upload error","message":"disk"}', 'Upload error'],
  ['{"error":{"code":5},"message":"no room"}', 'no room'],
  ['{"type":"about:blank","title":"Bad","detail":"Not this one"}', 'Not this one'],
  ['{"error":" ","title":"Bad"}', 'Bad'],
  ['"plain"', 'plain'],
  ['Cannot find upload "x"\n', 'Cannot find upload "x"'],
  ['one\r\n\ttwo \u001b[31mred\u202e\u2028', 'one two [31mred'],
  ['x'.repeat(300), `${'x'.repeat(200)}…`],
  ['', undefined],
  [' \n', undefined],
  ['<html><title>502 Bad Gateway</title>', undefined],
  ['  <!DOCTYPE html>', undefined],
  ['{"status":500}', undefined],
  ['["no"]', undefined],
  ['\uFFFD\uFFFDPNG', undefined],
  ['null', 'null'],
])('readServerWords() reads %j as %j', (text, words) => {
  expect(readServerWords(text)).toBe(words)
})

test('readServerWords() cuts no character in two', () => {
  expect(readServerWords(`${'x'.repeat(199)}😀😀`)).toBe(`${'x'.repeat(199)}😀…`)
  expect(readServerWords('😀'.repeat(200))).toBe('😀'.repeat(200))
})

import { expect, test } from 'vitest'
import { formatUsageError } from './usage-errors.ts'

test.each([
  ["error: unknown option '--pasword=hunter2'", "unknown option '--pasword=…'"],
  ["error: unknown option '--a=it's\nhunter2'", "unknown option '--a=…'"],
  ["error: unknown option '-Zhunter2'", "unknown option '-Z…'"],
  ["error: unknown option '-Z'", "unknown option '-Z'"],
  [
    "error: unknown option '--headr'\n(Did you mean --header?)",
    "unknown option '--headr' (Did you mean --header?)",
  ],
  [
    "error: too many arguments for 'fetch'. Expected 1 argument but got 2: http://a/, http://u:hunter2@b/\n?c.",
    "too many arguments for 'fetch'. Expected 1 argument but got 2",
  ],
  ["error: unknown command 'http://u:hunter2@b/'", 'the first word has to be a command'],
  [
    "error: unknown command 'gett'\n(Did you mean get?)",
    "unknown command 'gett' (Did you mean get?)",
  ],
  ["error: missing required argument 'url'.", "missing required argument 'url'"],
  ["error: unknown option '--\u001b[2J'", "unknown option '--?[2J'"],
])('formatUsageError() of %j', (text, told) => {
  const line = formatUsageError(text, 'ferry fetch')

  expect(line).toBe(`ferry: Cannot run: ${told}. See ferry fetch --help.\n`)
  expect(line).not.toContain('hunter2')
})

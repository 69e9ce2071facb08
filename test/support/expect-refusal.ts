/** What every failure of the command has in common. */
import { expect } from 'vitest'
import type { FerryExit } from './run-ferry.ts'

/**
 * Expects that a run has failed with an exit code and one line on standard error, which says what
 * was attempted (`line` is a part of that) and then, as a sentence of its own, what can be done.
 */
export function expectRefusal(
  { exitCode, stdout, notes }: FerryExit,
  expected: { readonly exitCode: number; readonly line: string },
): void {
  expect({ exitCode, stdout, notes }).toEqual({
    exitCode: expected.exitCode,
    stdout: '',
    notes: expect.stringMatching(/^ferry: (Cannot|Interrupted)[^\n]+[^.]\. [A-Z][^\n]+\.\n$/),
  })
  expect(notes).toContain(expected.line)
  expect(notes).not.toContain('    at ')
}

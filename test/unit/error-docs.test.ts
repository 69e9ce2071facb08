import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { ENDINGS } from '../../packages/cli/src/exit-codes.ts'

const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split('|').map((cell) => cell.trim()))
const documented: Record<string, string[]> = Object.fromEntries(
  rows.map((cells) => [cells[1]?.replaceAll('`', ''), cells]),
)

describe('docs/errors.md', () => {
  test('lists every code once, and no other', () => {
    expect(rows.map((cells) => cells[1]?.replaceAll('`', '')).toSorted()).toEqual(
      Object.keys(ENDINGS).toSorted(),
    )
  })

  test.each(Object.entries(ENDINGS))('has the exit code of %s', (code, ending) => {
    expect(Number(documented[code]?.[5])).toBe(ending.exitCode)
  })

  test.each(Object.entries(documented))('tells cause and remedy of %s', (_, cells) => {
    expect(cells[2]).toMatch(/^`\w+Error`$/)
    expect(cells[3]?.length).toBeGreaterThan(10)
    expect(cells[4]?.length).toBeGreaterThan(5)
  })
})
